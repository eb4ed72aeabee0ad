#pragma once

#include <atomic>

namespace remediate::host {

enum class Stream : unsigned char { input, output, error };

/// True when a person is at the other end.
[[nodiscard]] bool is_terminal(Stream stream);

/// Makes this process safe to start from anywhere: closed standard streams become the null
/// device (so that no file of ours gets their number), other inherited descriptors are closed,
/// files are created private, loader and locale variables of the environment are dropped, a
/// reader that goes away or a file at its size limit is an error of the write and not a signal.
void harden_process();

/// An interrupt or a request to end sets `flag`; a second one ends the process. A signal that was
/// ignored when the process began (nohup) stays ignored.
void stop_on_signal(std::atomic<bool>& flag);

}  // namespace remediate::host
