#include "grapes/base/interrupt.h"

#include <atomic>
#include <csignal>

namespace grapes::interrupt {
namespace {

std::atomic<int> signal_number{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may only touch lock-free atomics");

extern "C" void remember(int number) {
  signal_number.store(number);
  std::signal(number, SIG_DFL);  // the second signal has the default effect
}

}  // namespace

void install() {
  std::signal(SIGINT, remember);
  std::signal(SIGTERM, remember);
}

int pending() noexcept { return signal_number.load(); }
void clear() noexcept { signal_number.store(0); }

}  // namespace grapes::interrupt
