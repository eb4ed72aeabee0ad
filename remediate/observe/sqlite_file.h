#pragma once

#include <functional>
#include <string_view>

#include "remediate/host/directory.h"

namespace remediate::observe {

/// Runs one query of one column on an SQLite database that is an open file, and hands out each
/// row's bytes until `row` returns false. Only `database` is read: nothing is written, locked or
/// opened beside it, and a transaction that waits in its -wal file is not seen. What the file says
/// is not trusted: its schema may run no function, and the work is bounded. corrupt for what is no
/// such database, limit when the bound was reached.
[[nodiscard]] Result<void> query_sqlite(const host::File& database, const char* query,
                                        const std::function<bool(std::string_view)>& row);

}  // namespace remediate::observe
