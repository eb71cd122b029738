/**
 * The yardstick of `npm run bench`: the model of src/x86 for 64-bit guests, and of src/kvm for the rows of a guest, as one
 * would write it in C++ for speed. Every count must equal that of the TypeScript; the time it takes is what the TypeScript is
 * measured against.
 *
 * The processor has 4-level paging with the registers of LONG_MODE, a 4-level EPT, true LRU and the default switches. KVM is
 * Linux 4.2 with EPT and one vCPU that executes stores, loads and OUT of up to 8 bytes within a page. What else src can do is
 * not here, so the yardstick has a little less to decide; where a row would need it, it fails. It searches the ways of a
 * set one by one, where src/x86 has an index.
 *
 * Arguments are name=value: of the row what yardstick.mjs passes; of the processor the fields of CpuGeometry, a structure as
 * entries/ways, a cache as bytes/ways. Prints one line of JSON. All files are one translation unit.
 */
#include "arguments.hpp"
#include "kvm-guest.hpp"
#include "processor-guest.hpp"

int main(int count, char** values) {
  const Arguments arguments(count, values);
  if (arguments.has("memslots")) measureGuest(arguments);
  else measureProcessor(arguments);
}
