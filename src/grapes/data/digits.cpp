#include "grapes/data/digits.h"

#include "grapes/base/file.h"

#include <ATen/ops/empty.h>

#include <cstring>

namespace grapes::data {

Collection read_digits(const SourceFiles& files) {
  constexpr std::int64_t train = 1437, test = digits_rows - train, pixels = digits_columns - 1, side = 8;
  at::Tensor table = at::empty({digits_rows, digits_columns}, at::kByte);
  std::memcpy(table.data_ptr<std::uint8_t>(), digits_table, sizeof digits_table);
  const DatasetInfo info = {ProblemKind::classification, {1, side, side}, 10, files.classes};
  const auto part = [&](std::int64_t begin, std::int64_t n) {
    const at::Tensor rows = table.narrow(0, begin, n);
    return memory(rows.narrow(1, 0, pixels).reshape({n, 1, side, side}), rows.select(1, pixels).to(at::kLong), info,
                  1.0F / 16);
  };
  return {.train = part(0, train),
          .test = part(train, test),
          .bytes = true,
          .fingerprint = sha256({reinterpret_cast<const char*>(digits_table), sizeof digits_table}),
          .notes = {"no split of its own: the first 1437 examples are for training, the last 360 for testing"}};
}

}  // namespace grapes::data
