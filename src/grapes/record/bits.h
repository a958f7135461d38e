#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace grapes::record {

/// Returns a file in NumPy's NPY format with one bit per flag, as numpy.packbits orders them: a vector of uint8 whose
/// highest bits come first, with zeros at the end. numpy.unpackbits(numpy.load(FILE), count=N) reads it.
std::string packed_bits(const std::vector<bool>& flags);

/// Reads such a file, and finds how many flags it has from the fraction of them that is set.
/// @throws DataError with the file's name if it is not such a file, or if no number of flags gives this fraction
std::vector<bool> unpacked_bits(std::string_view bytes, double fraction, const std::string& file);

}  // namespace grapes::record
