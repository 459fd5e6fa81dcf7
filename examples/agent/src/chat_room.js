// The chat room: the one API that an agent is given. Each run holds a ChatRoom of its own, and all of them share one
// history, in the memory of this isolate.

import { RpcTarget } from "cloudflare:workers";

// What the model that writes the agent is shown. Types say in few words what the API is and how it is used.
export const chatRoomTypes = `interface ChatRoom {
  /** The newest messages, oldest first; at most 500 are kept. */
  getHistory(limit: number): Promise<Message[]>;
  /** Says something in the room: at most 4000 characters. */
  post(text: string): Promise<void>;
  /** Calls back with each message from now on, until the result is disposed or the run ends. */
  subscribe(callback: (message: Message) => void | Promise<void>): Promise<Disposable>;
}
interface Message { author: string; text: string; sentAt: string }
`;

const MAX_HISTORY = 500;
const MAX_TEXT = 4_000;
const MAX_SUBSCRIPTIONS = 10; // for each run

const history = [];
const subscriptions = new Set();

// Methods on the prototype can be called by the agent. #private fields cannot be reached, nor can the author be
// chosen: who speaks is decided by whoever hands the room out.
export class ChatRoom extends RpcTarget {
  #author;
  #subscriptions = new Set();

  constructor(author) {
    super();
    this.#author = author;
  }

  getHistory(limit) {
    if (!Number.isInteger(limit) || limit < 0) {
      throw new RangeError(`getHistory(limit): limit must be a whole number from 0, not ${limit}`);
    }
    return limit === 0 ? [] : history.slice(-limit);
  }

  post(text) {
    if (typeof text !== "string" || text.length === 0 || text.length > MAX_TEXT) {
      throw new TypeError(`post(text): text must be a string of 1 to ${MAX_TEXT} characters`);
    }
    const message = { author: this.#author, text, sentAt: new Date().toISOString() };
    history.push(message);
    if (history.length > MAX_HISTORY) history.shift();
    for (const subscription of subscriptions) subscription.enqueue(message);
  }

  subscribe(callback) {
    if (typeof callback !== "function") throw new TypeError("subscribe(callback): callback must be a function");
    if (this.#subscriptions.size >= MAX_SUBSCRIPTIONS) {
      throw new RangeError(`A run may hold ${MAX_SUBSCRIPTIONS} subscriptions at once; dispose one first.`);
    }
    // A stub that arrives as a parameter ends with the call: keep one of our own.
    const subscription = new Subscription(callback.dup(), () => this.#subscriptions.delete(subscription));
    this.#subscriptions.add(subscription);
    return new SubscriptionHandle(subscription);
  }

  // The end of the run: what the agent has not disposed itself ends here.
  [Symbol.dispose]() {
    for (const subscription of this.#subscriptions) subscription.close();
  }
}

// What the agent holds: it can be disposed, and has nothing else to call.
class SubscriptionHandle extends RpcTarget {
  #subscription;

  constructor(subscription) {
    super();
    this.#subscription = subscription;
  }

  [Symbol.dispose]() {
    this.#subscription.close();
  }
}

// A message can come from any run, but a callback may only be called by the run that handed it over. So a poster
// does no more than put the message in the queue, and each subscription calls its own agent.
class Subscription {
  #callback;
  #onClose;
  #queue = [];
  #wake = Promise.withResolvers();

  constructor(callback, onClose) {
    this.#callback = callback;
    this.#onClose = onClose;
    subscriptions.add(this);
    this.#deliverAll();
  }

  enqueue(message) {
    this.#queue.push(message);
    if (this.#queue.length > MAX_HISTORY) this.#queue.shift();
    this.#wake.resolve();
  }

  async #deliverAll() {
    try {
      while (subscriptions.has(this)) {
        await this.#wake.promise;
        this.#wake = Promise.withResolvers();
        while (this.#queue.length > 0) await this.#callback(this.#queue.shift());
      }
    } catch {
      this.close(); // The agent's callback threw, or the agent is gone: either way it hears no more.
    }
  }

  close() {
    if (!subscriptions.delete(this)) return;
    this.#onClose();
    this.#queue.length = 0;
    this.#wake.resolve();
    this.#callback[Symbol.dispose]();
  }
}
