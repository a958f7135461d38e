#include "grapes/data/open.h"

#include "grapes/base/error.h"
#include "grapes/base/table.h"
#include "grapes/data/sampler.h"
#include "grapes/data/test_files.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

namespace grapes::data {
namespace {

using testing::HasSubstr;

std::vector<std::int64_t> counts(const Dataset& set) {
  const at::Tensor c = at::bincount(set.targets(), {}, set.info().outputs);
  return {c.data_ptr<std::int64_t>(), c.data_ptr<std::int64_t>() + c.numel()};
}

TEST(Open, DigitsEqualTheKnownDataSet) {
  Options options;
  options.validation_split = 0;
  const Splits splits = open(options, 1);
  EXPECT_EQ(splits.train->size(), 1437);
  EXPECT_EQ(splits.validation->size(), 0);
  EXPECT_EQ(splits.test->size(), 360);
  EXPECT_EQ(splits.info.input_shape, (std::vector<std::int64_t>{1, 8, 8}));
  std::vector<std::int64_t> all = counts(*splits.train);
  const std::vector<std::int64_t> test = counts(*splits.test);
  for (std::size_t c = 0; c < 10; ++c) all[c] += test[c];
  EXPECT_EQ(all, (std::vector<std::int64_t>{178, 182, 177, 183, 181, 182, 181, 179, 174, 180}));
  const at::Tensor first = splits.train->get(at::tensor({0}, at::kLong)).inputs.flatten().narrow(0, 0, 8) * 16;
  EXPECT_TRUE(at::equal(first, at::tensor({0.F, 0.F, 5.F, 13.F, 9.F, 1.F, 0.F, 0.F})));
}

TEST(Open, ValidationIsStratifiedAndKeyedBySeed) {
  Options options;
  options.validation_split = 200;
  const Splits a = open(options, 1);
  EXPECT_EQ(a.train->size(), 1237);
  EXPECT_EQ(a.validation->size(), 200);
  options.validation_split = 0;
  const std::vector<std::int64_t> whole = counts(*open(options, 1).train);
  const std::vector<std::int64_t> part = counts(*a.validation);
  for (std::size_t c = 0; c < 10; ++c) {
    EXPECT_NEAR(static_cast<double>(part[c]), static_cast<double>(whole[c]) * 200 / 1437, 1) << c;
  }
  options.validation_split = 200;
  EXPECT_TRUE(at::equal(open(options, 1).train->targets(), a.train->targets()));
  EXPECT_FALSE(at::equal(open(options, 2).train->targets(), a.train->targets()));
}

TEST(Open, LimitsSetTheNumberOfExamples) {
  Options options;
  options.train_limit = 100;
  options.test_limit = 30;
  const Splits drawn = open(options, 1);
  EXPECT_EQ(drawn.train->size(), 100);
  EXPECT_EQ(drawn.validation->size(), 10);
  EXPECT_EQ(drawn.test->size(), 30);
  for (const std::int64_t n : counts(*drawn.train)) EXPECT_NEAR(static_cast<double>(n), 10, 1);
  options.order = Order::file;
  options.validation_split = 0;
  const Splits first = open(options, 1);
  options.train_limit = 0;
  EXPECT_TRUE(at::equal(first.train->targets(), open(options, 1).train->targets().narrow(0, 0, 100)));
}

TEST(Open, NormalizesByTheTrainingExamples) {
  Options options;
  options.normalize = "standard";
  const Splits standard = open(options, 1);
  const at::Tensor x = standard.train->get(file_order(standard.train->size())).inputs;
  EXPECT_LT(x.mean(0).abs().max().item<float>(), 1e-5);
  const at::Tensor sd = x.std(0, /*unbiased=*/false);
  EXPECT_TRUE(((sd - 1).abs() < 1e-4).logical_or(sd == 0).all().item<bool>());
  options.normalize = "zero-mean";
  const Splits zero = open(options, 1);
  const at::Tensor y = zero.test->get(file_order(zero.test->size())).inputs;
  EXPECT_EQ(y.min().item<float>(), -1);
  EXPECT_EQ(y.max().item<float>(), 1);
}

TEST(Open, NormalizesChannelsByAllTheirPixels) {
  // Two images of two pixels and two channels. Red: 0 2 4 6, mean 3, variance 5. Green: 7 everywhere, with standard
  // deviation 0, which must not become a divisor.
  const at::Tensor pictures = at::tensor({0.F, 2.F, 7.F, 7.F, 4.F, 6.F, 7.F, 7.F}).reshape({2, 2, 1, 2});
  const DatasetPtr set =
      memory(pictures, at::zeros({2}, at::kLong), {ProblemKind::classification, {2, 1, 2}, 1, {"all"}});
  const NormalizationKind& channel = find_row(normalizations(), "normalization", "channel");
  const Normalization normalization = channel.fit(*set, false);
  EXPECT_TRUE(at::equal(normalization.shift, at::tensor({3.F, 7.F}).reshape({2, 1, 1})));
  EXPECT_TRUE(at::allclose(normalization.scale, at::tensor({1 / std::sqrt(5.F), 1.F}).reshape({2, 1, 1})));
  const at::Tensor x = normalized(set, normalization)->get(file_order(2)).inputs;
  EXPECT_TRUE(
      at::allclose(x, at::tensor({-3.F, -1.F, 0.F, 0.F, 1.F, 3.F, 0.F, 0.F}).reshape({2, 2, 1, 2}) / std::sqrt(5.F)));
  EXPECT_TRUE(at::allclose(normalization.undo(x.clone()), pictures, 1e-6, 1e-6));
  const DatasetPtr table =
      memory(at::ones({2, 3}), at::zeros({2}, at::kLong), {ProblemKind::classification, {3}, 1, {"all"}});
  EXPECT_THROW(channel.fit(*table, false), UsageError);

  Options options;
  options.normalize = "channel";
  const Splits splits = open(options, 1);
  const at::Tensor all = splits.train->get(file_order(splits.train->size())).inputs;
  EXPECT_NEAR(all.mean().item<double>(), 0, 1e-5);
  EXPECT_NEAR(all.std(/*unbiased=*/false).item<double>(), 1, 1e-5);
  EXPECT_EQ(splits.normalization.shift.numel(), 1);
}

TEST(Normalization, ByGivenNumbersPerChannel) {
  Options options;
  const at::Tensor raw = all_inputs(*open(options, 1).train);
  options.mean = {0.25};
  options.deviation = {0.5};
  const Splits splits = open(options, 1);
  EXPECT_TRUE(at::allclose(all_inputs(*splits.train), (raw - 0.25) / 0.5, 1e-6, 1e-6));
  DatasetInfo info;
  info.input_shape = {3, 2, 2};
  const Normalization colors = given_normalization({0.1, 0.2, 0.3}, {1, 2, 4}, info);
  const at::Tensor x = colors(at::ones({1, 3, 2, 2}));
  EXPECT_TRUE(at::allclose(x.select(2, 0).select(2, 0), at::tensor({0.9F, 0.4F, 0.175F}).view({1, 3})));
}

TEST(Open, InvalidOptionsAreErrorsThatNameTheOption) {
  const auto message = [](auto change) -> std::string {
    Options options;
    change(options);
    try {
      open(options, 1);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_THAT(message([](Options& o) { o.data = "fashion-mnits"; }), HasSubstr("did you mean 'fashion-mnist'"));
  EXPECT_THAT(message([](Options& o) { o.mean = {0.5}; }), HasSubstr("mean and std must be given together"));
  EXPECT_THAT(message([](Options& o) {
                o.mean = {0.5}, o.deviation = {1, 2, 3};
              }),
              HasSubstr("std [1, 2, 3]: expected one number, or 1, one per channel"));
  EXPECT_THAT(message([](Options& o) { o.mean = {0.5}, o.deviation = {1}, o.normalize = "unit"; }),
              HasSubstr("mean and std replace it"));
  EXPECT_THAT(message([](Options& o) { o.normalize = "units"; }), HasSubstr("did you mean 'unit'"));
  EXPECT_THAT(message([](Options& o) { o.validation_split = -0.1; }), HasSubstr("validation_split -0.1"));
  EXPECT_THAT(message([](Options& o) { o.validation_split = 1.5; }), HasSubstr("validation_split 1.5"));
  EXPECT_THAT(message([](Options& o) { o.validation_split = 1437; }), HasSubstr("there are only 1437"));
  EXPECT_THAT(message([](Options& o) { o.train_limit = -1; }), HasSubstr("train_limit"));
}

TEST(Open, ReadsFashionMnistFromDebian) {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist")) GTEST_SKIP() << "dataset-fashion-mnist is missing";
  Options options;
  options.data = "fashion-mnist";
  options.download = false;
  const Splits splits = open(options, 1);
  EXPECT_EQ(counts(*splits.train), std::vector<std::int64_t>(10, 5400));
  EXPECT_EQ(counts(*splits.validation), std::vector<std::int64_t>(10, 600));
  EXPECT_EQ(counts(*splits.test), std::vector<std::int64_t>(10, 1000));
  EXPECT_EQ(splits.info.classes[9], "Ankle boot");
  EXPECT_TRUE(splits.notes.empty());
  EXPECT_NEAR(splits.test->get(file_order(10000)).inputs.mean().item<double>(), 0.28685, 1e-4);  // published mean
}

}  // namespace
}  // namespace grapes::data
