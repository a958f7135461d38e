#include "grapes/embedded/c_header.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/random.h"
#include "grapes/base/table.h"
#include "grapes/base/text.h"
#include "grapes/fixed/checksum.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

namespace grapes::embedded {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

struct Case {
  std::vector<std::size_t> nodes;
  std::string activation = "relu";
  int bits = 16;
  bool biases = false, classes = true;
  std::optional<fixed::Learning> learning = {};
  fixed::Formats formats = {};
};

fixed::Learning rule(bool grapes, int factor_bits = 4, int rate_shift = 6, bool squares = false) {
  return {squares ? fixed::Learning::Loss::squares : fixed::Learning::Loss::cross_entropy, grapes, factor_bits,
          rate_shift};
}

fixed::Network make(const Case& of, std::uint64_t seed) {
  Random random(seed);
  fixed::Network network;
  network.formats = of.formats;
  network.formats.weight_bits = of.bits;
  network.activation = &find_row(fixed::activations(), "activation", of.activation);
  network.biases = of.biases;
  network.classes = of.classes;
  network.learning = of.learning;
  for (std::size_t l = 1; l < of.nodes.size(); ++l) {
    std::vector<double> weights(of.nodes[l] * of.nodes[l - 1]), biases(of.nodes[l]);
    for (double& w : weights) w = random.normal() * std::sqrt(2.0 / static_cast<double>(of.nodes[l - 1]));
    for (double& b : biases) b = of.biases ? 0.1 * random.normal() : 0;
    network.layers.push_back(fixed::quantize(weights, biases, of.nodes[l - 1], of.bits, of.learning ? 1 : 0, l - 1));
  }
  return network;
}

std::vector<std::string> lines_of(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  std::string text;
  for (int c; (c = std::fgetc(pipe)) != EOF;) text += static_cast<char>(c);
  EXPECT_EQ(pclose(pipe), 0) << command << "\n" << text;
  return split(text, '\n');
}

/// A folder that is removed at the end.
struct Folder {
  fs::path path =
      fs::path(testing::TempDir()) /
      fmt::format("grapes_c_{}_{}", testing::UnitTest::GetInstance()->current_test_info()->name(), getpid());
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
};

/// Available compilers. Undefined behavior in C ends the test program.
std::vector<std::string> compilers() {
  std::vector<std::string> found;
  for (const char* build : {"gcc -O1 -fsanitize=undefined,address -fno-sanitize-recover", "clang -Os"})
    if (std::system(fmt::format("{} --version > /dev/null 2>&1", build).c_str()) == 0) found.emplace_back(build);
  if (found.empty() && std::system("cc --version > /dev/null 2>&1") == 0) found.emplace_back("cc -O2");
  return found;
}
const std::string flags = "-std=c99 -Wall -Wextra -Wconversion -Wshadow -Werror -pedantic";

TEST(CHeader, EqualsTheModelBitForBit) {
  const std::vector<std::string> builds = compilers();
  if (builds.empty()) GTEST_SKIP() << "a C compiler is missing";
  const Folder folder;
  const std::vector<Case> cases = {
      {{12, 9, 5}},
      {{12, 9, 5}, "tanh", 8, true},
      {{12, 9, 5}, "sigmoid", 8, false, false},
      {{40, 5}, "relu", 8},
      {{64, 32, 16, 10}, "relu", 16, false, true, rule(true)},
      {{64, 32, 10}, "relu", 8, true, true, rule(true, 2, 4)},
      {{20, 12, 7, 3}, "tanh", 16, true, true, rule(true, 8, 5)},
      {{20, 12, 7, 3}, "sigmoid", 8, true, true, rule(true, 0, 3)},
      {{20, 12, 3}, "identity", 16, true, true, rule(false)},
      {{20, 12, 3}, "relu", 16, true, true, rule(true, 4, 6, true)},
      {{20, 12, 3}, "relu", 16, true, false, rule(true, 4, 5, true), {16, 9, 12, 14}},
      {{20, 1}, "relu", 16, true, false, rule(true, 4, 5, true)},
      {{600, 30, 10}, "relu", 8, false, true, rule(true, 4, 5)},  // 600 inputs of 8 bits: sums of 64 bits
      {{1100, 4, 2}, "relu", 16, false, true, rule(true, 8, 6)},  // the factor's comparison needs 64 bits too
  };
  for (std::size_t k = 0; k < cases.size(); ++k) {
    const fixed::Network network = make(cases[k], 100 + k);
    write_file(folder.path / "net.h", c_header(network, "net", {"for a test"}));
    constexpr int samples = 3000;
    fixed::State state = fixed::begin(network);
    const std::string expected = fmt::format("{:08x}", fixed::checksum(network, state, samples));
    for (const std::string& build : builds) {
      const std::string program = (folder.path / "host").string();
      const std::vector<std::string> said =
          lines_of(fmt::format("{0} {1} -I{2} {3}/hardware/micro/host.c -o {4} 2>&1 && {4} {5} 2>&1", build, flags,
                               folder.path.string(), GRAPES_SOURCE_DIR, program, samples));
      ASSERT_GE(said.size(), 2u);
      EXPECT_EQ(said[0], expected) << "case " << k << ", " << build;
      EXPECT_EQ(said[1], fmt::format("{} bytes of state", c_size(network).state)) << "case " << k;
    }
  }
}

/// Returns a header as the compiler sees it, without the system's headers.
std::string preprocessed(std::string header, const Folder& folder) {
  for (const std::string include : {"#include <stdint.h>\n", "#include <string.h>\n"})
    header.erase(header.find(include), include.size());
  write_file(folder.path / "seen.h", header);
  return join(lines_of("cc -E -P " + (folder.path / "seen.h").string() + " 2>&1"), "\n");
}

TEST(CHeader, ContainsOnlyTheCodeThatItsNetworkNeeds) {
  if (compilers().empty()) GTEST_SKIP() << "a C compiler is missing";
  const Folder folder;
  const std::string infers = c_header(make({{4, 3, 2}}, 1), "net", {"a line", "that does not end */ here"});
  EXPECT_THAT(infers, HasSubstr("   a line\n   that does not end *  here\n"));
  EXPECT_THAT(infers, HasSubstr("weights of layer 0         int16_t"));
  for (const char* part : {"net_learn", "net_tanh", "net_exp2", "trained_biases", "responsibility", "float", "double",
                           "malloc", "int64_t"})
    EXPECT_THAT(preprocessed(infers, folder), Not(HasSubstr(part)));
  const std::string learns = c_header(make({{4, 3, 2}, "tanh", 8, true, true, rule(true)}, 1), "gate", {});
  EXPECT_THAT(learns, HasSubstr("#define GATE_FACTOR_BITS 4u"));
  for (const char* part : {"unsigned gate_learn(gate_state *s", "gate_tanh[]", "gate_exp2[]", "responsibility[3u]"})
    EXPECT_THAT(preprocessed(learns, folder), HasSubstr(part));
  EXPECT_THAT(learns, Not(HasSubstr("net_")));
  EXPECT_THAT(learns, Not(HasSubstr("NET_")));
  // Without hidden units nothing is modulated.
  EXPECT_THAT(preprocessed(c_header(make({{4, 2}, "relu", 16, false, true, rule(true)}, 1), "net", {}), folder),
              Not(HasSubstr("responsib")));
}

TEST(CHeader, ASettingRemovesTheCodeForLearning) {
  if (compilers().empty()) GTEST_SKIP() << "a C compiler is missing";
  const Folder folder;
  fixed::Network network = make({{12, 9, 5}, "tanh", 8, true, true, rule(true)}, 1);
  std::string header = c_header(network, "net", {});
  const std::string setting = "#define NET_LEARNS 1";
  header.replace(header.find(setting), setting.size(), "#define NET_LEARNS 0");
  write_file(folder.path / "net.h", header);
  network.learning.reset();
  fixed::State state = fixed::begin(network);
  EXPECT_EQ(lines_of(fmt::format("cc {0} -I{1} {2}/hardware/micro/host.c -o {1}/host 2>&1 && {1}/host 500", flags,
                                 folder.path.string(), GRAPES_SOURCE_DIR))
                .front(),
            fmt::format("{:08x}", fixed::checksum(network, state, 500)));
}

TEST(CHeader, ANameThatIsNoCIdentifierIsAnError) {
  for (const char* name : {"", "1net", "my-net", "a b"})
    EXPECT_THROW(c_header(make({{4, 2}}, 1), name, {}), UsageError) << name;
}

}  // namespace
}  // namespace grapes::embedded
