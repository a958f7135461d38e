#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace grapes::data {

/// A text as UTF-8 without a byte order mark, and what it was.
struct DecodedText {
  std::string_view text;  ///< in the bytes that were decoded, or in `converted`
  std::string encoding;   ///< "UTF-8", "UTF-16LE", "WINDOWS-1252", ...
  std::shared_ptr<const std::string> converted = nullptr;
};

/// Decodes a file. auto: a byte order mark decides; without one, zero bytes in every second place mean UTF-16, and
/// bytes that are not UTF-8 mean Windows-1252, which includes Latin-1.
/// @param encoding  auto, or a name that iconv knows
/// @param file      for messages
/// @throws UsageError for the setting "encoding" if iconv does not know the name, DataError with the line of bytes that
///   do not belong to the encoding
DecodedText decode(std::string_view bytes, const std::string& encoding, const std::string& file);

}  // namespace grapes::data
