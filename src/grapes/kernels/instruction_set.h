#pragma once

#include "grapes/kernels/loops.h"

#include <string>
#include <vector>

namespace grapes::kernels {

/// Returns the instruction sets that this processor supports, the simplest first.
const std::vector<InstructionSet>& instruction_sets();
/// Returns the one in use: the last, or the one named in the environment variable GRAPES_INSTRUCTION_SET.
/// @throws c10::ValueError if that name is unknown or not supported
const InstructionSet& instruction_set();
/// For tests: uses this one from now on, in all threads. @throws c10::ValueError for a name that is not in
/// instruction_sets()
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
