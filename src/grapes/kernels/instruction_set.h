#pragma once

#include "grapes/kernels/loops.h"

#include <string>
#include <vector>

namespace grapes::kernels {

/// Those that this processor understands, the plainest first.
const std::vector<InstructionSet>& instruction_sets();
/// The one in use: the last of them, or what the environment variable GRAPES_INSTRUCTION_SET names.
/// @throws c10::ValueError if it names none that there is
const InstructionSet& instruction_set();
/// For tests: from now on this one, for all threads. @throws c10::ValueError for a name that instruction_sets() lacks
void use_instruction_set(const std::string& name);

template <class T>
const Loops<T>& loops();
template <>
inline const Loops<float>& loops<float>() {
  return instruction_set().float32;
}
template <>
inline const Loops<double>& loops<double>() {
  return instruction_set().float64;
}

}  // namespace grapes::kernels
