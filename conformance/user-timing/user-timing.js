// Marks and measures. https://w3c.github.io/user-timing/
import assert from "node:assert";

export const marksHaveNameTimeAndDetail = {
  test() {
    const mark = performance.mark("m");
    assert.ok(mark instanceof PerformanceMark && mark instanceof PerformanceEntry);
    assert.deepStrictEqual([mark.name, mark.entryType, mark.duration, mark.detail], ["m", "mark", 0, null]);
    assert.ok(Math.abs(mark.startTime - performance.now()) < 60_000);
    const detail = { x: 1 };
    const given = performance.mark("given", { startTime: 5, detail });
    assert.deepStrictEqual([given.startTime, given.detail], [5, detail]);
    assert.strictEqual(JSON.stringify(given), '{"name":"given","entryType":"mark","startTime":5,"duration":0,"detail":{"x":1}}');
    assert.strictEqual(JSON.stringify(new PerformanceMark("own", { startTime: 3 })), '{"name":"own","entryType":"mark","startTime":3,"duration":0}');
    assert.strictEqual(performance.getEntriesByName("own").length, 0);
    assert.throws(() => performance.mark(), TypeError);
    assert.throws(() => performance.mark(Symbol("s")), TypeError);
    performance.clearMarks();
  },
};

export const measuresSpanMarks = {
  test() {
    performance.mark("a", { startTime: 10 });
    performance.mark("b", { startTime: 25 });
    const measure = performance.measure("span", "a", "b");
    assert.ok(measure instanceof PerformanceMeasure && measure instanceof PerformanceEntry);
    assert.deepStrictEqual([measure.entryType, measure.startTime, measure.duration, measure.detail], ["measure", 10, 15, null]);
    const json = JSON.stringify(performance.measure("o", { start: 1, end: 4, detail: [1] }));
    assert.strictEqual(json, '{"name":"o","entryType":"measure","startTime":1,"duration":3,"detail":[1]}');
    assert.strictEqual(performance.measure("d", { start: 1, duration: 4 }).duration, 4);
    assert.strictEqual(performance.measure("backwards", "b", "a").duration, 0);
    const open = performance.measure("open", "a");
    assert.ok(open.startTime === 10 && open.duration > 0);
    assert.strictEqual(performance.measure("all").startTime, 0);
    assert.throws(() => performance.measure(), TypeError);
    performance.clearMarks();
    performance.clearMeasures();
  },
};

export const entriesAreFoundAndCleared = {
  test() {
    const names = (entries) => entries.map((entry) => entry.name);
    const b = performance.mark("b", { startTime: 5 });
    performance.mark("a", { startTime: 1 });
    performance.mark("a", { startTime: 2 });
    performance.measure("c", { start: 3, end: 4 });
    assert.deepStrictEqual(names(performance.getEntries()), ["b", "a", "a", "c"]);
    assert.strictEqual(performance.getEntriesByName("b")[0], b);
    assert.strictEqual(performance.getEntriesByName("a", "mark").length, 2);
    assert.strictEqual(performance.getEntriesByName("a", "measure").length, 0);
    assert.deepStrictEqual(names(performance.getEntriesByType("measure")), ["c"]);
    performance.clearMarks("a");
    assert.deepStrictEqual(names(performance.getEntries()), ["b", "c"]);
    performance.clearMarks();
    performance.clearMeasures("other");
    assert.deepStrictEqual(names(performance.getEntries()), ["c"]);
    performance.clearMeasures();
    assert.deepStrictEqual(performance.getEntries(), []);
  },
};

export const classesAreThere = {
  test() {
    assert.ok(performance instanceof Performance);
    assert.strictEqual(typeof PerformanceResourceTiming, "function");
    assert.strictEqual(typeof PerformanceObserverEntryList, "function");
    assert.ok(PerformanceObserver.supportedEntryTypes.includes("mark"));
    for (const Class of [Performance, PerformanceEntry, PerformanceMeasure, PerformanceObserverEntryList]) {
      assert.throws(() => new Class(), { name: "TypeError", message: "Illegal constructor" });
    }
    assert.strictEqual(JSON.stringify(performance), '{"timeOrigin":0}');
    performance.clearResourceTimings();
    performance.setResourceTimingBufferSize(5);
  },
};

export const observersAreCalled = {
  async test() {
    const seen = [];
    const observer = new PerformanceObserver((list, itself) => seen.push(...list.getEntries(), itself));
    observer.observe({ entryTypes: ["mark"] });
    const mark = performance.mark("watched");
    performance.measure("not watched");
    await new Promise((resolve) => setTimeout(resolve, 1));
    observer.disconnect();
    performance.mark("too late");
    await new Promise((resolve) => setTimeout(resolve, 1));
    performance.clearMarks();
    performance.clearMeasures();
    assert.strictEqual(seen.length, 2, "the observer was not called");
    assert.ok(seen[0] === mark && seen[1] === observer);
  },
};

export const optionsOfMeasuresNameMarks = {
  test() {
    performance.mark("a", { startTime: 10 });
    performance.mark("b", { startTime: 25 });
    const measure = performance.measure("m", { start: "a", end: "b" });
    performance.clearMarks();
    performance.clearMeasures();
    assert.strictEqual(measure.startTime, 10);
    assert.strictEqual(measure.duration, 15);
    assert.strictEqual(performance.measure("m", { end: 10, duration: 4 }).startTime, 6);
    performance.clearMeasures();
  },
};
