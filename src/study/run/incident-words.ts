/** An instruction that did not do what it should, in words: what the plain model expects of it, and what it did. */
import type { Vcpu } from "../../kvm/vcpu.js";
import { PAGE } from "../../x86/mmu.js";
import { DEVICE, type PlainModel, WRITABLE } from "./plain-model.js";
import { hex } from "./scenario.js";

/** What the instruction should do, such as "a read of memory". */
export function expectedText(plain: PlainModel, vcpu: Vcpu, frameOf: (page: number) => number): string {
  const { form, page, offset, size, port, value } = vcpu.instruction;
  const write = (isPort: boolean, address: number, bytes: number, done: number) => {
    const doorbell = plain.rungBy(isPort, address, bytes, value, done);
    return doorbell === null ? "a write to the device" : `a signal of ${doorbell.name}`;
  };
  switch (form.operation) {
    case "in":
      return "a read of the device";
    case "out":
      return write(true, port, size, 0);
    case "fetch":
      return "the instruction at the address";
    case "event":
      return "the delivery of the event, once";
    case "memory":
      break;
    default:
      return "the instruction, executed";
  }
  const first = Math.min(size, PAGE - offset);
  const pieces = first < size ? [page, page + 1] : [page];
  const parts = pieces.flatMap((piece, index) => {
    const gfn = frameOf(piece);
    const ground = plain.groundOf(gfn);
    const gpa = gfn * PAGE + (index === 0 ? offset : 0);
    const bytes = Math.min(index === 0 ? first : size - first, 8);
    const reads = ground === DEVICE ? "a read of the device" : "a read of memory";
    const writes = ground === WRITABLE ? "a write to memory" : write(false, gpa, bytes, index * first);
    return [...(form.reads ? [reads] : []), ...(form.writes ? [writes] : [])];
  });
  const steps = vcpu.trapFlag ? ["then a debug exception"] : [];
  const rest = form.repeated && vcpu.instruction.count > 1 ? ["then the other iterations"] : [];
  return [...new Set(parts), ...rest, ...steps].join(", ");
}

/** By `Doer`. */
const DOERS = ["memory", "the device in the kernel", "the device in userspace"] as const;

/** What was done: by whom, and how it ended. */
export function happenedText(plain: PlainModel, vcpu: Vcpu): string {
  const { effects, instruction, guestMode } = vcpu;
  if (effects === null) return "nothing that was noted";
  const signals = effects.signalled.slice(0, effects.signals).map((eventfd) => {
    const doorbell = plain.doorbellOf(eventfd);
    const of = doorbell === undefined ? "another eventfd" : `${doorbell.name} at ${hex(doorbell.addr)}`;
    return `a signal of ${of}${guestMode ? ", by an address of L2" : ""}`;
  });
  const pieces = effects.doers.slice(0, effects.pieces).map((doer, piece) => {
    const does = effects.writes[piece] ? "a write to" : "a read of";
    return `${does} ${DOERS[doer]}`;
  });
  const parts = [...new Set([...signals, ...pieces])];
  if (instruction.form.operation === "event") parts.push("RIP moved while the event was delivered");
  else if (effects.native) parts.push("the processor executed it");
  else if (pieces.length === 0) parts.push("the instruction was skipped");
  if (vcpu.trapFlag && !effects.native && effects.debugExceptions === 0) parts.push("no debug exception");
  return parts.join(", ");
}
