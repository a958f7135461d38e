// Compares every fused operation with its reference of tensor operations, and every instruction set with the portable
// one.
#include "grapes/kernels/cross_entropy.h"
#include "grapes/kernels/dense.h"
#include "grapes/kernels/dropout.h"
#include "grapes/kernels/gemm.h"
#include "grapes/kernels/instruction_set.h"
#include "grapes/kernels/spikes.h"
#include "grapes/kernels/threads.h"
#include "grapes/kernels/update.h"
#include "grapes/kernels/workspace.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <limits>

namespace grapes::kernels {
namespace {

using Shape = std::vector<std::int64_t>;

at::Tensor randoms(at::IntArrayRef shape, at::ScalarType dtype, std::uint64_t seed) {
  at::manual_seed(seed);
  return at::randn(shape, dtype);
}

double largest(const at::Tensor& difference) { return difference.abs().max().item<double>(); }

template <class G>
using RuleOf = std::function<void(const Parameter&, const G&, const at::Tensor&, const at::Tensor&)>;
struct Rule {
  const char* name;
  RuleOf<Gradient> fused;
  RuleOf<at::Tensor> reference;
};
std::vector<Rule> rules() {
  const Rate rate{0.1, 0.01};
  const AdamNumbers numbers{0.9, 0.999, 1e-8, 0.19, 0.002};
  return {{"sgd", [=](auto& W, auto& g, auto&, auto&) { sgd(W, g, rate); },
           [=](auto& W, auto& g, auto&, auto&) { plain::sgd(W, g, rate); }},
          {"momentum", [=](auto& W, auto& g, auto& v, auto&) { momentum(W, g, v, rate, 0.9); },
           [=](auto& W, auto& g, auto& v, auto&) { plain::momentum(W, g, v, rate, 0.9); }},
          {"nag_ahead", [=](auto& W, auto&, auto& v, auto& rest) { nag_ahead(W, v, rest, 0.9); },
           [=](auto& W, auto&, auto& v, auto& rest) { plain::nag_ahead(W, v, rest, 0.9); }},
          {"nag", [=](auto& W, auto& g, auto& v, auto& rest) { nag(W, g, v, rest, rate, 0.9); },
           [=](auto& W, auto& g, auto& v, auto& rest) { plain::nag(W, g, v, rest, rate, 0.9); }},
          {"rmsprop", [=](auto& W, auto& g, auto& q, auto&) { rmsprop(W, g, q, rate, 0.9, 1e-8); },
           [=](auto& W, auto& g, auto& q, auto&) { plain::rmsprop(W, g, q, rate, 0.9, 1e-8); }},
          {"adam", [=](auto& W, auto& g, auto& m, auto& v) { adam(W, g, m, v, rate, numbers); },
           [=](auto& W, auto& g, auto& m, auto& v) { plain::adam(W, g, m, v, rate, numbers); }}};
}

TEST(Update, EqualsItsReferenceAndUpdatesTheRowSums) {
  for (const Rule& rule : rules())
    for (const Shape& shape : {Shape{5, 37}, Shape{1, 16}, Shape{7}})
      for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
        const double tolerance = dtype == at::kDouble ? 1e-14 : 2e-6;
        const Parameter ours(randoms(shape, dtype, 1), std::make_shared<RowSums>()), reference(ours.value.clone());
        const at::Tensor g = randoms(shape, dtype, 2), a = randoms(shape, dtype, 3).abs(), a2 = a.clone(),
                         b = randoms(shape, dtype, 4).abs(), b2 = b.clone();
        for (int step = 0; step < 2; ++step) {
          rule.fused(ours, g, a, b);
          rule.reference(reference, g, a2, b2);
        }
        EXPECT_LE(largest(ours.value - reference.value), tolerance) << rule.name;
        EXPECT_LE(largest(a - a2), tolerance) << rule.name << ", first state";
        EXPECT_LE(largest(b - b2), tolerance) << rule.name << ", second state";
        EXPECT_TRUE(at::equal(ours.sums->of(ours.value), abs_sums(ours.value))) << rule.name << ": sums, bit for bit";
      }
}

TEST(Update, EveryInstructionSetGivesTheSameBits) {
  const std::string before = instruction_set().name;
  for (const Rule& rule : rules())
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
      std::vector<at::Tensor> first;
      for (const InstructionSet& set : instruction_sets()) {
        use_instruction_set(set.name);
        const Parameter W(randoms({6, 53}, dtype, 1), std::make_shared<RowSums>());
        const at::Tensor a = randoms({6, 53}, dtype, 3).abs(), b = randoms({6, 53}, dtype, 4).abs();
        rule.fused(W, randoms({6, 53}, dtype, 2), a, b);
        const std::vector<at::Tensor> got = {W.value, a, b, W.sums->of(W.value).clone()};
        if (first.empty()) first = got;
        for (std::size_t i = 0; i < got.size(); ++i)
          EXPECT_TRUE(at::equal(got[i], first[i])) << rule.name << " with " << set.name << ", tensor " << i;
      }
    }
  use_instruction_set(before);
}

TEST(Update, ByAProductEqualsItsReferenceAndGivesTheSameBitsWithEveryInstructionSet) {
  const std::string before = instruction_set().name;
  for (const Rule& rule : rules())
    for (const std::int64_t batch : {1, 3, 8, 40, 1030})
      for (const Shape& shape : {Shape{7, 70}, Shape{133, 21}})
        for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
          const at::Tensor delta = randoms({batch, shape[0]}, dtype, 1) / static_cast<double>(batch),
                           h = randoms({batch, shape[1]}, dtype, 2), start = randoms(shape, dtype, 3),
                           state = randoms(shape, dtype, 4).abs() + 0.1;
          const Parameter reference(start.clone());
          const at::Tensor a2 = state.clone(), b2 = state.clone();
          rule.reference(reference, at::mm(delta.t(), h), a2, b2);
          std::vector<at::Tensor> first;
          for (const InstructionSet& set : instruction_sets()) {
            use_instruction_set(set.name);
            const Parameter ours(start.clone(), std::make_shared<RowSums>());
            const at::Tensor a = state.clone(), b = state.clone();
            rule.fused(ours, {delta, h}, a, b);
            const std::vector<at::Tensor> got = {ours.value, a, b};
            const double tolerance = dtype == at::kDouble ? 1e-13 : 1e-5;
            EXPECT_LE(largest(ours.value - reference.value), tolerance) << rule.name << batch << shape << set.name;
            EXPECT_LE(largest(a - a2), tolerance) << rule.name << batch << shape << set.name << ", first state";
            EXPECT_LE(largest(b - b2), tolerance) << rule.name << batch << shape << set.name << ", second state";
            EXPECT_TRUE(at::equal(ours.sums->of(ours.value), abs_sums(ours.value))) << rule.name << ": sums";
            // Without the instruction, and for large batches, the BLAS computes the gradient.
            if (batch > 1000 || !set.float32.multiplies) continue;
            if (first.empty()) first = got;
            for (std::size_t i = 0; i < got.size(); ++i)
              EXPECT_TRUE(at::equal(got[i], first[i])) << rule.name << " with " << set.name << ", tensor " << i;
          }
        }
  use_instruction_set(before);
}

template <class T>
void compare_loops(at::ScalarType dtype) {
  const at::Tensor h = randoms({200}, dtype, 3), factor = randoms({200}, dtype, 4), error = randoms({200}, dtype, 5);
  std::vector<at::Tensor> first;
  for (const InstructionSet& set : instruction_sets()) {
    use_instruction_set(set.name);
    std::vector<at::Tensor> got;
    const at::Tensor mask = at::empty({200}, dtype);
    loops<T>().dropout_mask(42, 3, 64, 200, 3'000'000'000U, T(1.5), mask.data_ptr<T>());
    got.push_back(mask);
    for (const T* m : {static_cast<const T*>(nullptr), static_cast<const T*>(mask.data_ptr<T>())}) {
      at::Tensor z = h.clone();
      loops<T>().rectify(T(0.1), m, 200, z.data_ptr<T>());
      got.push_back(z);
      for (const auto loop : loops<T>().error)
        for (const T* f : {static_cast<const T*>(nullptr), static_cast<const T*>(factor.data_ptr<T>())}) {
          at::Tensor delta = error.clone();
          loop(h.data_ptr<T>(), m, f, T(1.25), 200, delta.data_ptr<T>());
          got.push_back(delta);
        }
    }
    if (first.empty()) first = got;
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_TRUE(at::equal(got[i], first[i])) << set.name << ", " << i;
  }
}

TEST(Loops, EveryInstructionSetGivesTheSameBits) {
  const std::string before = instruction_set().name;
  compare_loops<float>(at::kFloat);
  compare_loops<double>(at::kDouble);
  use_instruction_set(before);
  EXPECT_THROW(use_instruction_set("mmx"), std::exception);
}

TEST(Loops, RandomBitsEqualPhilox) {
  // The authors' test vector for counter 0 and key 0 (Random123, kat_vectors): 6627e8d5 e169c58d bc57ac4c 9b00dbd8.
  const std::uint32_t answer[] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  for (std::size_t word = 0; word < 4; ++word)
    for (const std::uint32_t last : {answer[word] - 1, answer[word]}) {
      float mask[64];
      loops<float>().dropout_mask(0, 0, 0, 64, last, 1, mask);
      EXPECT_EQ(mask[16 * word], last == answer[word] ? 1 : 0) << word;
    }
}

TEST(Dropout, APartOfAMaskEqualsThatPartOfTheWholeMask) {
  Dropout dropout;
  dropout.p = 0.3;
  dropout.key = dropout_key(1, 2, 3);
  const at::Tensor whole = dropout_mask(dropout.key, 3, 1300, dropout.p, at::kFloat);
  MaskRow<float> row(dropout);
  for (std::int64_t b = 0; b < 3; ++b)
    for (std::int64_t begin = 0; begin < 1300; begin += row.piece) {
      const std::int64_t count = std::min(row.piece, 1300 - begin);
      EXPECT_EQ(std::memcmp(row.at(b, begin, count, 1300), whole[b].data_ptr<float>() + begin, 4 * count), 0);
    }
}

TEST(Dropout, AndSpikesBelongToTheExampleNotToThePartOfTheBatch) {
  Dropout dropout;
  dropout.p = 0.3;
  dropout.key = 7;
  dropout.first = 2;
  const at::Tensor whole = dropout_mask(dropout.key, 5, 40, dropout.p, at::kFloat);
  EXPECT_TRUE(whole.narrow(0, 2, 3).equal(dropout_mask(dropout.key, 3, 40, dropout.p, at::kFloat, 2)));
  MaskRow<float> row(dropout);
  EXPECT_EQ(std::memcmp(row.at(1, 0, 40, 40), whole[3].data_ptr<float>(), 4 * 40), 0);
  const at::Tensor x = randoms({5, 40}, at::kFloat, 1).abs().clamp(0, 1);
  const at::Tensor spikes = draw_spikes(x, 6, 0.5, 7, at::arange(5, at::kLong));
  EXPECT_TRUE(spikes.narrow(1, 2, 3).equal(
      draw_spikes(x.narrow(0, 2, 3).contiguous(), 6, 0.5, 7, at::arange(2, 5, at::kLong))));
  EXPECT_FALSE(
      spikes.narrow(1, 2, 3).equal(draw_spikes(x.narrow(0, 2, 3).contiguous(), 6, 0.5, 7, at::arange(3, at::kLong))));
}

TEST(RowSums, AreRecomputedIfOtherCodeWritesTheWeight) {
  const at::Tensor W = randoms({4, 9}, at::kFloat, 1);
  RowSums sums;
  EXPECT_TRUE(at::allclose(sums.of(W), plain::abs_sums(W)));
  W[2].mul_(3);
  EXPECT_TRUE(at::allclose(sums.of(W), plain::abs_sums(W)));
  const at::Tensor other = W * 2;
  EXPECT_TRUE(at::allclose(sums.of(other), plain::abs_sums(other)));
  for (const Shape& shape : {Shape{8, 3, 5, 5}, Shape{3}, Shape{2, 0}}) {
    const at::Tensor w = randoms(shape, at::kDouble, 2);
    EXPECT_TRUE(at::allclose(abs_sums(w), plain::abs_sums(w), 1e-14, 0)) << shape;
  }
}

TEST(Workspace, ReusesOnlyMemoryWithoutReferences) {
  Workspace workspace;
  at::Tensor held = workspace.take({4, 8}, at::kFloat);
  held.fill_(7);
  at::Tensor other = workspace.take({4, 8}, at::kFloat);
  EXPECT_NE(held.data_ptr(), other.data_ptr());
  const at::Tensor view = other.narrow(0, 1, 2);
  const void* place = other.data_ptr();
  EXPECT_FALSE(workspace.exclusive(other)) << "a view sees it";
  EXPECT_TRUE(workspace.exclusive(held));
  other.reset();
  EXPECT_NE(workspace.take({4, 8}, at::kFloat).data_ptr(), place) << "the view still holds it";
  const std::size_t bytes = workspace.bytes();
  for (int i = 0; i < 10; ++i) workspace.take({32}, at::kFloat).fill_(0);
  EXPECT_EQ(workspace.bytes(), bytes) << "memory was allocated although some was free";
  EXPECT_EQ(held.sum().item<float>(), 7 * 32);
}

TEST(Workspace, AViewIsExclusiveIfNothingElseHoldsItsTensor) {
  Workspace workspace;
  at::Tensor map = workspace.take({4, 8}, at::kFloat);
  at::Tensor view = map.view({2, 16});
  EXPECT_FALSE(workspace.exclusive(view)) << "the tensor sees it";
  map.reset();
  EXPECT_TRUE(workspace.exclusive(view));
  const at::Tensor other = view.view({32});
  EXPECT_FALSE(workspace.exclusive(view)) << "another view sees it";
  EXPECT_FALSE(workspace.exclusive(other)) << "another view sees it";
}

template <class T>
Matrix<const T> read(const at::Tensor& t, bool turned) {
  const Matrix<const T> m{t.data_ptr<T>(), t.size(0), t.size(1), t.size(1)};
  return turned ? transposed(m) : m;
}

template <class T>
void compare_gemms(at::ScalarType dtype, double tolerance) {
  for (const GemmRow<T>& library : gemms<T>())
    for (const Shape& shape : {Shape{1, 5, 7}, Shape{2, 5, 7}, Shape{9, 5, 7}, Shape{5, 33, 20}, Shape{8, 70, 300},
                               Shape{37, 130, 40}, Shape{130, 37, 270}, Shape{64, 96, 33}})
      for (const bool a_t : {false, true})
        for (const bool b_t : {false, true})
          for (const double beta : {0.0, 1.0}) {
            const std::int64_t rows = shape[0], columns = shape[1], depth = shape[2];
            const at::Tensor A = randoms(a_t ? Shape{depth, rows} : Shape{rows, depth}, dtype, 1),
                             B = randoms(b_t ? Shape{columns, depth} : Shape{depth, columns}, dtype, 2),
                             C = randoms({rows, columns + 3}, dtype, 3), before = C.clone();
            const at::Tensor expected = 0.5 * at::mm(a_t ? A.t() : A, b_t ? B.t() : B) + beta * C.narrow(1, 0, columns);
            if (beta == 0) C.narrow(1, 0, columns).fill_(std::numeric_limits<double>::quiet_NaN());  // not to be read
            library.gemm(0.5, read<T>(A, a_t), read<T>(B, b_t), static_cast<T>(beta),
                         {C.data_ptr<T>(), rows, columns, columns + 3});
            EXPECT_LE(largest(C.narrow(1, 0, columns) - expected), tolerance)
                << library.name << " " << shape << a_t << b_t << beta;
            EXPECT_TRUE(C.narrow(1, columns, 3).equal(before.narrow(1, columns, 3))) << "wrote beside C";
          }
}

TEST(Gemm, EveryLibraryEqualsTheTensorProduct) {
  set_threads(1);
  compare_gemms<float>(at::kFloat, 5e-5);
  compare_gemms<double>(at::kDouble, 1e-13);
}

template <class T>
void compare_products(at::ScalarType dtype) {
  std::vector<at::Tensor> first;
  for (const InstructionSet& set : instruction_sets()) {
    use_instruction_set(set.name);
    std::vector<at::Tensor> got;
    for (const Shape& shape : {Shape{3, 90, 50}, Shape{45, 90, 50}, Shape{45, 37, 9}}) {
      const std::int64_t rows = shape[0], columns = shape[1], depth = shape[2];
      const at::Tensor A = randoms({rows, depth}, dtype, 1), B = randoms({depth, columns}, dtype, 2),
                       room = at::empty({depth, widest_tile}, dtype), C = at::empty({rows, columns}, dtype);
      loops<T>().product(
          {rows, columns, depth, A.data_ptr<T>(), depth, 1, B.data_ptr<T>(), columns, room.data_ptr<T>()}, 1, 0,
          C.data_ptr<T>(), columns);
      EXPECT_LE(largest(C - at::mm(A, B)), dtype == at::kDouble ? 1e-13 : 5e-5) << set.name << shape;
      const at::Tensor W = randoms({columns, depth}, dtype, 3), dots = at::empty({rows, columns}, dtype);
      loops<T>().dots(A.data_ptr<T>(), depth, W.data_ptr<T>(), depth, rows, columns, depth, 1, 0, dots.data_ptr<T>(),
                      columns);
      EXPECT_LE(largest(dots - at::mm(A, W.t())), dtype == at::kDouble ? 1e-13 : 5e-5) << set.name << shape;
      got.insert(got.end(), {C, dots});
    }
    if (first.empty()) first = got;
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_TRUE(at::equal(got[i], first[i])) << set.name << ", " << i;
  }
}

TEST(Gemm, EveryInstructionSetGivesTheSameBits) {
  const std::string before = instruction_set().name;
  compare_products<float>(at::kFloat);
  compare_products<double>(at::kDouble);
  use_instruction_set(before);
}

/// One layer with rounded products, in one step of descent or with a gradient: value, dL/dh, and what W and b became.
std::vector<at::Tensor> rounded_layer(bool fused, std::int64_t batch, ErrorPath::To to, bool factors,
                                      double fused_sgd) {
  const at::Tensor h = randoms({batch, 33}, at::kFloat, 1).requires_grad_();
  Dense layer;
  layer.weight = randoms({21, 33}, at::kFloat, 2).requires_grad_();
  layer.bias = randoms({21}, at::kFloat, 3).requires_grad_();
  if (factors) {
    layer.rows = 1 + at::rand({21});
    layer.columns = 1 + at::rand({33});
  }
  layer.path = {to, to == ErrorPath::To::matrix ? randoms({33, 21}, at::kFloat, 4) : at::Tensor()};
  layer.workspace = std::make_shared<Workspace>();
  if (fused) {
    layer.rounded = std::make_shared<RoundedCopy>();
    if (fused_sgd != 0)
      layer.learn = [=](const at::Tensor& W, const Gradient& g) {
        const at::NoGradGuard no_grad;
        sgd(W, g, {fused_sgd});
      };
  }
  const at::Tensor value = fused ? dense(h, layer) : plain::rounded_products(h, layer) + layer.bias;
  const at::Tensor result = value.detach().clone();
  (value * randoms({batch, 21}, at::kFloat, 5)).sum().backward();
  const at::NoGradGuard no_grad;
  if (!fused && factors) layer.bias.mutable_grad().mul_(layer.rows);
  std::vector<at::Tensor> all = {result, h.grad()};
  for (const at::Tensor& learned : {layer.weight, layer.bias}) {
    if (fused_sgd != 0 && !fused) learned.sub_(learned.grad() * fused_sgd);
    all.push_back(fused_sgd != 0 ? learned.detach() : learned.grad());
  }
  return all;
}

TEST(Bfloat16, TheRoundedLayerEqualsItsReference) {
  if (!bfloat16_missing().empty()) GTEST_SKIP() << bfloat16_missing();
  for (const std::int64_t batch : {1, 5, 40})
    for (const auto to : {ErrorPath::To::weights, ErrorPath::To::matrix, ErrorPath::To::none})
      for (const bool factors : {false, true})
        for (const double fused_sgd : {0.0, 0.3}) {
          const auto ours = rounded_layer(true, batch, to, factors, fused_sgd),
                     references = rounded_layer(false, batch, to, factors, fused_sgd);
          for (std::size_t i = 0; i < ours.size(); ++i) {
            ASSERT_EQ(ours[i].defined(), references[i].defined()) << i;
            if (!ours[i].defined()) continue;
            EXPECT_LE(largest(ours[i] - references[i]) / largest(references[i]), 2e-6)
                << batch << " " << static_cast<int>(to) << factors << fused_sgd << ", " << i;
          }
        }
  const at::Tensor W = at::full({2, 2}, 1.0F);
  RoundedCopy copy;
  EXPECT_EQ(copy.of(W).sum().item<float>(), 4);
  W.fill_(1 + 1.0 / 512);
  EXPECT_EQ(copy.of(W).sum().item<float>(), 4) << "a bfloat16 has 8 significant bits";
  W.fill_(3);
  EXPECT_EQ(copy.of(W).sum().item<float>(), 12) << "a changed weight must give a new copy";
}

TEST(CrossEntropy, EqualsItsReference) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    const at::Tensor logits = (randoms({9, 4}, dtype, 1) * 30).requires_grad_(),
                     reference = logits.detach().clone().requires_grad_(),
                     classes = at::arange(9, at::kLong).remainder(4);
    const at::Tensor ours = cross_entropy(logits, classes), theirs = at::cross_entropy_loss(reference, classes);
    (ours * 0.5).backward();
    (theirs * 0.5).backward();
    const double tolerance = dtype == at::kDouble ? 1e-14 : 1e-6;
    EXPECT_LE(std::abs(ours.item<double>() / theirs.item<double>() - 1), tolerance);
    EXPECT_LE(largest(logits.grad() - reference.grad()), tolerance);
    EXPECT_THROW(cross_entropy(logits, classes + 1), c10::Error);
  }
}

}  // namespace
}  // namespace grapes::kernels
