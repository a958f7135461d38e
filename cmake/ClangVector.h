// Included before everything else when clang reads the code (preset tidy). Clang 14 evaluates the constexpr members of
// C++20's std::vector (libstdc++ 12) while a LibTorch 1.13 header still declares its element type, and reports an
// error. GCC evaluates them later. Without constexpr, clang does too.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#undef _GLIBCXX20_CONSTEXPR
#define _GLIBCXX20_CONSTEXPR
#define __fill_a1 __fill_a1_not_constexpr  // first declared as constexpr; std::fill over bits is not used here
#include <vector>
#undef __fill_a1
#undef _GLIBCXX20_CONSTEXPR
#define _GLIBCXX20_CONSTEXPR constexpr
