#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "remediate/journal/record.h"

namespace remediate::run {

/// Where an operation stands, as its journal tells it.
enum class State : std::uint8_t {
  planned,     // nothing recorded, nothing done
  intended,    // recorded; the effect may or may not have happened
  captured,    // the original is in the hold
  sealed,      // and its sealed copy is durable
  done,        // and its absence (or the new setting) was checked
  not_done,    // given up; the original is at its place or, when `held`, in the hold
  restoring,   // a rollback was begun; the original is in the hold, at its place, or sealed
  restored,    // the original is back at its place
  finalizing,  // the held original may or may not be gone; the sealed copy is durable
  finalized,   // only the sealed copy is left
};
[[nodiscard]] std::string_view state_name(State state);

struct Transition {
  State from;
  std::string_view record;
  State to;
};

/// Every way an operation on a file can go. A journal that holds another step is corrupt. A value
/// in a directory is never captured: it goes from intended to done (see advance()).
inline constexpr std::array transitions = {
    // apply, resume
    Transition{State::planned, journal::type::intent, State::intended},
    Transition{State::planned, journal::type::not_done, State::not_done},
    Transition{State::intended, journal::type::intent, State::intended},
    Transition{State::intended, journal::type::captured, State::captured},
    Transition{State::intended, journal::type::not_done, State::not_done},
    Transition{State::captured, journal::type::sealed, State::sealed},
    Transition{State::captured, journal::type::not_done, State::not_done},
    Transition{State::captured, journal::type::done, State::done},  // too large to be sealed
    Transition{State::sealed, journal::type::done, State::done},
    // rollback; not_restored goes back to where it came from
    Transition{State::intended, journal::type::restore_intent, State::restoring},
    Transition{State::captured, journal::type::restore_intent, State::restoring},
    Transition{State::sealed, journal::type::restore_intent, State::restoring},
    Transition{State::done, journal::type::restore_intent, State::restoring},
    Transition{State::not_done, journal::type::restore_intent, State::restoring},
    Transition{State::finalizing, journal::type::restore_intent, State::restoring},
    Transition{State::finalized, journal::type::restore_intent, State::restoring},
    Transition{State::restoring, journal::type::restore_intent, State::restoring},
    Transition{State::restoring, journal::type::restored, State::restored},
    // finalize
    Transition{State::done, journal::type::finalize_intent, State::finalizing},
    Transition{State::finalizing, journal::type::finalize_intent, State::finalizing},
    Transition{State::finalizing, journal::type::finalized, State::finalized},
    Transition{State::finalizing, journal::type::done, State::done},  // kept: it stays held
};

[[nodiscard]] constexpr std::optional<State> next_state(State from, std::string_view record) {
  for (const Transition& transition : transitions)
    if (transition.from == from && transition.record == record) return transition.to;
  return std::nullopt;
}

}  // namespace remediate::run
