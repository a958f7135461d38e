#pragma once

#include "grapes/record/record.h"

/// Looks at runs without loading them.
namespace grapes::record {

/// A folder with this in its name is a claim of a process on a run that has not ended, see experiment/claim.h.
/// load_all() skips it.
inline constexpr const char* claim_mark = ".claim-";

/// Loads only the status of a run. @throws DataError
Status load_status(const std::filesystem::path& folder);
/// Whether a folder is a run or contains one, as load_all() finds them.
bool has_runs(const std::filesystem::path& folder);

}  // namespace grapes::record
