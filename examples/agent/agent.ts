// An agent to try:
//
//   curl --data-binary @agent.ts -H 'X-Param: "lunch"' http://127.0.0.1:8787/

interface Message { author: string; text: string; sentAt: string }

export default {
  async myAgent(topic: string, env: any) {
    const { promise: heard, resolve } = Promise.withResolvers<Message>();
    using subscription = await env.CHAT_ROOM.subscribe(resolve);
    await env.CHAT_ROOM.post(`Shall we talk about ${topic}?`);
    console.log("heard", await heard);

    const history: Message[] = await env.CHAT_ROOM.getHistory(10);
    return { messages: history.length, newest: history.at(-1)?.text };
  },
};
