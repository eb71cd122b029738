import { beforeEach, describe, expect, it } from "vitest";
import { IoBus, type IoDevice } from "../../src/kvm/io-bus.js";
import { Ioeventfd } from "../../src/kvm/ioeventfd.js";
import { PRIMITIVES } from "../../src/kvm/primitives.js";
import { Ledger } from "../../src/x86/ledger.js";

let ledger: Ledger;
let bus: IoBus;

beforeEach(() => {
  ledger = new Ledger(PRIMITIVES);
  bus = new IoBus(ledger, false);
});

function assign(addr: number, len: number, datamatch?: number): Ioeventfd {
  const eventfd = new Ioeventfd({ addr, len, datamatch, pio: false }, ledger);
  bus.register(addr, len, eventfd);
  return eventfd;
}

const device: IoDevice = { isIoeventfd: false, write: () => true, read: () => true };

describe("an I/O bus", () => {
  it("signals the eventfd whose address and length the write has", () => {
    const [first, second] = [assign(0x1000, 4), assign(0x1008, 4)];
    expect([bus.write(0x1008, 4, 1), bus.write(0x1004, 4, 1), bus.write(0x1000, 2, 1)]).toEqual([
      true,
      false,
      false,
    ]);
    expect([first.signals, second.signals]).toEqual([0, 1]);
  });

  it("tries the devices at one address in the order of registration until one takes the write", () => {
    const [one, two] = [assign(0x1000, 4, 1), assign(0x1000, 4, 2)];
    expect([bus.write(0x1000, 4, 2), bus.write(0x1000, 4, 3)]).toEqual([true, false]);
    expect([one.signals, two.signals]).toEqual([0, 1]);
  });

  it("finds a zero-length eventfd with length 0 and never with a length", () => {
    const eventfd = assign(0x1000, 0);
    expect([bus.write(0x1000, 0, 0), bus.write(0x1000, 4, 0), bus.write(0x1001, 0, 0)]).toEqual([
      true,
      false,
      false,
    ]);
    expect(eventfd.signals).toBe(1);
  });

  it("is sorted by heapsort: whether a wider range at one address is found hangs on what was there before", () => {
    // Outcomes of Linux 4.2: the 4-byte range first hides the 8-byte one, the other way round it does not.
    assign(0x1000, 4);
    assign(0x1000, 8);
    expect(bus.write(0x1000, 8, 0)).toBe(false);
    bus = new IoBus(ledger, false);
    assign(0x1000, 8);
    assign(0x1000, 4);
    expect(bus.write(0x1000, 8, 0)).toBe(true);
  });

  it("gives no read to an eventfd, and one within its range to a device", () => {
    assign(0x1000, 4);
    bus.register(0x2000, 8, device);
    expect([bus.read(0x1000, 4), bus.read(0x2004, 4), bus.read(0x2006, 4)]).toEqual([false, true, false]);
  });

  it("bisects: 1000 eventfds cost at most ten comparisons to find, and two to take", () => {
    const eventfds = Array.from({ length: 1000 }, (_, i) => assign(0x1000 + 8 * (999 - i), 8));
    const compare = PRIMITIVES.indexOf("ioBusCompare");
    for (const { addr } of eventfds) {
      const before = ledger.counts[compare];
      expect(bus.write(addr, 8, 0)).toBe(true);
      expect(ledger.counts[compare] - before).toBeLessThanOrEqual(10 + 2);
    }
    expect(eventfds.every(({ signals }) => signals === 1)).toBe(true);
  });

  it("takes 1000 devices and no more; eventfds count on the fast bus and in v3.9 only", () => {
    for (let i = 0; i < 1500; i++) assign(0x10_0000 + 4 * i, 4);
    for (let i = 0; i < 1000; i++) bus.register(i, 1, device);
    expect(() => bus.register(2000, 1, device)).toThrow("ENOSPC");
    bus = new IoBus(ledger, true);
    for (let i = 0; i < 1000; i++) assign(4 * i, 4);
    expect(() => assign(0x10_0000, 4)).toThrow("ENOSPC");
  });
});
