#include "grapes/kernels/libraries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace grapes::kernels {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Libraries, KernelsForAnOlderProcessorAreOutdated) {
  EXPECT_EQ(outdated("Nehalem", "avx2", "Nehalem"),
            "OpenBLAS's kernels for Nehalem use older instructions, and this processor has avx2: unset "
            "OPENBLAS_CORETYPE, which is Nehalem");
  EXPECT_THAT(outdated("Sandybridge", "avx2", nullptr), HasSubstr("set OPENBLAS_CORETYPE=Haswell, or"));
  EXPECT_THAT(outdated("Zen", "avx512", nullptr),
              AllOf(HasSubstr("Zen use avx2"), HasSubstr("set OPENBLAS_CORETYPE=SkylakeX, or")));
}

TEST(Libraries, KernelsOfTheProcessorsOwnInstructionsAreNot) {
  EXPECT_EQ(outdated("Haswell", "avx2", nullptr), "");
  EXPECT_EQ(outdated("ZEN", "avx2", nullptr), "") << "as a build for one processor spells it";
  EXPECT_EQ(outdated("SkylakeX", "avx512", "SkylakeX"), "");
  EXPECT_EQ(outdated("Sandybridge", "portable", nullptr), "") << "a processor without AVX2";
  EXPECT_EQ(outdated("", "avx512", nullptr), "") << "another BLAS, which does not tell its name";
}

TEST(Libraries, BlasNameIdentifiesTheBlas) {
  if (blas_function<char*()>("openblas_get_config") != nullptr)
    EXPECT_THAT(blas_name(), AllOf(HasSubstr("OpenBLAS"), HasSubstr(", kernels for ")));
  else if (blas_function<void(char*, int)>("MKL_Get_Version_String") != nullptr)
    EXPECT_THAT(blas_name(), HasSubstr("Math Kernel Library"));
  else
    EXPECT_EQ(blas_name(), "unknown: the library does not tell its name");
}

}  // namespace
}  // namespace grapes::kernels
