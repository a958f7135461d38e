#include "grapes/data/digits.h"

#include "grapes/base/file.h"

#include <ATen/ATen.h>

#include <cstring>
#include <string_view>

namespace grapes::data {

Collection digits() {
  constexpr std::int64_t train = 1437, test = digits_rows - train, side = 8;
  at::Tensor table = at::empty({digits_rows, digits_columns}, at::kByte);
  std::memcpy(table.data_ptr<std::uint8_t>(), digits_table, sizeof digits_table);
  const at::Tensor inputs = table.narrow(1, 0, side * side).reshape({digits_rows, 1, side, side});
  const at::Tensor targets = table.select(1, side * side).to(at::kLong);

  Collection collection;
  collection.name = "digits";
  collection.info = {
      ProblemKind::classification, {1, side, side}, 10, {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}};
  collection.scale = 1.0F / 16;
  collection.train = {inputs.narrow(0, 0, train), targets.narrow(0, 0, train)};
  collection.test = {inputs.narrow(0, train, test), targets.narrow(0, train, test)};
  collection.fingerprint = sha256({reinterpret_cast<const char*>(digits_table), sizeof digits_table});
  collection.notes = {"no split of its own: the first 1437 train, the last 360 test"};
  return collection;
}

}  // namespace grapes::data
