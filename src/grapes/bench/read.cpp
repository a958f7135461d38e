#include "grapes/base/error.h"
#include "grapes/bench/turns.h"
#include "grapes/data/open.h"
#include "grapes/data/sampler.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <memory>

namespace grapes::bench {
namespace fs = std::filesystem;
namespace {

/// Returns the file, or all files of the folder and of the folders in it.
std::vector<fs::path> files_of(const fs::path& path) {
  if (!fs::is_directory(path)) return {path};
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path))
    if (entry.is_regular_file()) files.push_back(entry.path());
  return files;
}

void read_bytes(const std::vector<fs::path>& files) {
  static std::array<char, 1 << 20> buffer;
  for (const fs::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    while (in.read(buffer.data(), buffer.size())) {
    }
  }
}

/// Returns random batches of the training examples, one after the other through as many epochs as are asked for.
class Batches {
 public:
  Batches(data::DatasetPtr set, std::int64_t batch) : set_(std::move(set)), batch_(std::min(batch, set_->size())) {}
  std::int64_t size() const { return batch_; }
  at::Tensor rows() {
    if (!order_.defined() || at_ + batch_ > order_.size(0)) {
      order_ = data::shuffled_order(set_->size(), 1, epoch_++);
      at_ = 0;
    }
    at_ += batch_;
    return order_.slice(0, at_ - batch_, at_);
  }
  data::Batch next() {
    const at::Tensor taken = rows();
    return set_->get(taken, static_cast<std::uint64_t>(epoch_));
  }

 private:
  const data::DatasetPtr set_;
  const std::int64_t batch_;
  at::Tensor order_;
  std::int64_t at_ = 0, epoch_ = 1;
};

}  // namespace

std::vector<Timing> read(const std::string& path, std::int64_t batch, const Options& options) {
  if (!fs::exists(path)) throw DataError(path + ": there is no such file or folder");
  const std::vector<fs::path> files = files_of(path);
  std::int64_t bytes = 0;
  for (const fs::path& file : files) bytes += static_cast<std::int64_t>(fs::file_size(file));
  data::Options what;
  what.data = path;
  what.download = false;
  Timing labels;
  labels.name = fs::path(path).filename().string();

  std::vector<Timing> timings = take_turns(
      [&] {
        Arm open{labels, [&] { data::open(what, 1); }};
        open.labels.variant = "open";
        open.labels.bytes = bytes;
        return Group{[&] { read_bytes(files); }, {open}, false};
      },
      options, kernels::Pool::blas, 1);

  const std::vector<Timing> batches = take_turns(
      [&] {
        const data::DatasetPtr set = data::open(what, 1).train;
        const auto from = std::make_shared<Batches>(set, batch);
        // The baseline copies rows that are in memory as float32, of at most as many examples as fit into 256 MB.
        const at::Tensor one = from->next().inputs;
        const std::int64_t width = one.numel() / from->size();
        const std::int64_t held = std::clamp<std::int64_t>((std::int64_t{256} << 20) / (4 * width), 1, set->size());
        const at::Tensor in_memory = at::zeros({held, width});
        const auto order = std::make_shared<Batches>(set, batch);
        Arm batches{labels, [from] { from->next(); }};
        batches.labels.variant = "random batches";
        batches.labels.batch = from->size();
        batches.labels.bytes = 4 * one.numel();
        return Group{
            [order, in_memory, held] { in_memory.index_select(0, order->rows().remainder(held)); }, {batches}, false};
      },
      options, kernels::Pool::blas);
  timings.insert(timings.end(), batches.begin(), batches.end());
  return timings;
}

}  // namespace grapes::bench
