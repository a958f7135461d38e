#pragma once

namespace grapes::interrupt {

/// From now on SIGINT and SIGTERM are remembered instead of ending the program; a second one ends it at once.
void install();

/// The signal that came (SIGINT, SIGTERM), or 0. Long work asks between steps and stops cleanly.
int pending() noexcept;

/// Forget it (tests).
void clear() noexcept;

}  // namespace grapes::interrupt
