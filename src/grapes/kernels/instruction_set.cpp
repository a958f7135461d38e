#include "grapes/kernels/instruction_set.h"

#include "grapes/kernels/checked_row.h"

#include <atomic>
#include <cstdlib>

namespace grapes::kernels {
namespace {

std::vector<InstructionSet> understood() {
  std::vector<InstructionSet> all = {portable::loops()};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) all.push_back(avx2::loops());
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    all.push_back(avx512::loops());
#endif
  return all;
}

const InstructionSet* first_choice() {
  const char* wanted = std::getenv("GRAPES_INSTRUCTION_SET");
  return wanted != nullptr && *wanted != 0 ? &checked_row(instruction_sets(), "instruction set", wanted)
                                           : &instruction_sets().back();
}

std::atomic<const InstructionSet*> chosen = nullptr;

}  // namespace

const std::vector<InstructionSet>& instruction_sets() {
  static const std::vector<InstructionSet> all = understood();
  return all;
}

const InstructionSet& instruction_set() {
  const InstructionSet* set = chosen.load(std::memory_order_relaxed);
  if (set == nullptr) chosen = set = first_choice();
  return *set;
}

void use_instruction_set(const std::string& name) {
  chosen = &checked_row(instruction_sets(), "instruction set", name);
}

}  // namespace grapes::kernels
