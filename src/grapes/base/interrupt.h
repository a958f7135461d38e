#pragma once

namespace grapes::interrupt {

/// Handles SIGINT and SIGTERM from now on. The first one is stored. Another one ends the program, unless it comes
/// within a second: then several senders have sent the same request.
void install();

/// Returns the stored signal (SIGINT, SIGTERM), or 0. Long work checks it between steps and stops cleanly.
int pending() noexcept;

/// Clears the stored signal, for tests.
void clear() noexcept;

}  // namespace grapes::interrupt
