import { describe, expect, it } from "vitest";
import { Trace, type TraceEvent } from "../../src/kvm/trace.js";

const entry = (vcpuId: number): TraceEvent => ({ event: "kvm_entry", vcpuId });

function written(count: number, capacity?: number): Trace {
  const trace = new Trace(capacity);
  for (let index = 1; index <= count; index++)
    trace.record(entry(index), 0, Float64Array.of(index, 10 * index));
  return trace;
}

function sequences(trace: Trace): number[] {
  return [...trace.records()].map(({ sequence }) => sequence);
}

describe("a trace", () => {
  it("numbers its events from 1 and gives them back in the order of writing", () => {
    const trace = written(3);
    expect([...trace.records()].map(({ sequence, vcpu, event }) => [sequence, vcpu, event])).toEqual([
      [1, 0, entry(1)],
      [2, 0, entry(2)],
      [3, 0, entry(3)],
    ]);
    expect([trace.kept, trace.written]).toEqual([3, 3]);
  });

  it("overwrites the oldest events when it is full", () => {
    const trace = written(10, 4);
    expect(sequences(trace)).toEqual([7, 8, 9, 10]);
    expect([trace.kept, trace.written]).toEqual([4, 10]);
    expect([written(4, 4), written(5, 4), written(8, 4)].map(sequences)).toEqual([
      [1, 2, 3, 4],
      [2, 3, 4, 5],
      [5, 6, 7, 8],
    ]);
  });

  it("copies the counts: they are those at the event, also after the ring has turned", () => {
    const counts = new Float64Array(2);
    const trace = new Trace(3);
    for (let index = 1; index <= 5; index++) {
      counts[0] = index;
      trace.record(entry(0), 0, counts);
    }
    expect([...trace.records()].map((record) => record.counts[0])).toEqual([3, 4, 5]);
  });

  it("takes counts of another length in the place of the old ones", () => {
    const trace = written(1, 1);
    trace.record(entry(0), 0, Float64Array.of(1, 2, 3));
    expect([...trace.records()][0].counts).toEqual(Float64Array.of(1, 2, 3));
  });

  it("holds 65536 events unless told otherwise, and no fraction of an event", () => {
    expect(new Trace().capacity).toBe(65536);
    for (const capacity of [0, -1, 1.5, Number.NaN]) {
      expect(() => new Trace(capacity)).toThrow(`capacity of a trace: ${capacity} is not a positive integer`);
    }
  });
});
