#include "fates.h"

#include <algorithm>
#include <charconv>

namespace remediate::durability {
namespace {

using Kind = Fate::Kind;

std::uint32_t number(std::mt19937_64& chance) { return static_cast<std::uint32_t>(chance() >> 40); }

std::vector<Fate> possible(const Event& event, std::mt19937_64& chance) {
  std::vector<Fate> fates{{Kind::lost, 0}, {Kind::whole, 0}};
  if (event.kind == Event::Kind::data && !event.bytes.empty()) {
    fates.push_back({Kind::zeros, 0});
    fates.push_back({Kind::sectors, number(chance)});
    fates.push_back({Kind::prefix, number(chance)});
  }
  return fates;
}

/// Every combination, or nothing when there are more than `most`.
std::vector<Fates> all(const std::vector<std::vector<Fate>>& choices, std::size_t most) {
  std::size_t count = 1;
  for (const auto& choice : choices) {
    count *= choice.size();
    if (count > most) return {};
  }
  std::vector<Fates> result;
  for (std::size_t at = 0; at < count; ++at) {
    Fates fates;
    std::size_t rest = at;
    for (const auto& choice : choices) {
      fates.push_back(choice[rest % choice.size()]);
      rest /= choice.size();
    }
    result.push_back(std::move(fates));
  }
  return result;
}

}  // namespace

Fates random_fates(const std::vector<Event>& events, const std::vector<std::size_t>& pending,
                   std::mt19937_64& chance) {
  const std::uint64_t survive = std::array<std::uint64_t, 4>{10, 35, 65, 90}[chance() % 4];
  Fates fates;
  for (const std::size_t at : pending) {
    const std::vector<Fate> choices = possible(events[at], chance);
    const bool lost = chance() % 100 >= survive;
    fates.push_back(choices[lost ? 0 : 1 + chance() % (choices.size() - 1)]);
  }
  return fates;
}

std::vector<Fates> choose(const std::vector<Event>& events, const std::vector<std::size_t>& pending,
                          const Effort& effort, std::mt19937_64& chance) {
  std::vector<std::vector<Fate>> choices;
  for (const std::size_t at : pending) choices.push_back(possible(events[at], chance));
  std::vector<Fates> result = all(choices, effort.exhaustive);
  if (!result.empty()) return result;

  const std::size_t size = pending.size();
  const Fates lost(size, {Kind::lost, 0});
  const Fates whole(size, {Kind::whole, 0});
  result = {lost, whole};
  std::vector<Fates> more;
  for (std::size_t at = 0; at < size; ++at) {
    Fates without = whole, alone = lost, prefix = lost;
    without[at] = lost[at];
    alone[at] = whole[at];
    std::copy_n(whole.begin(), at, prefix.begin());
    more.insert(more.end(), {without, alone, prefix});
    for (std::size_t torn = 2; torn < choices[at].size(); ++torn) {
      without[at] = alone[at] = choices[at][torn];
      more.insert(more.end(), {without, alone});
    }
  }
  std::ranges::shuffle(more, chance);
  if (more.size() > effort.structured) more.resize(effort.structured);
  result.insert(result.end(), more.begin(), more.end());
  for (std::size_t count = 0; count < effort.random; ++count)
    result.push_back(random_fates(events, pending, chance));
  return result;
}

std::string write_fates(const Fates& fates) {
  std::string text;
  for (const Fate& fate : fates) {
    text += static_cast<char>(fate.kind);
    if (fate.parameter != 0) text += std::to_string(fate.parameter);
  }
  return text;
}

Fates read_fates(std::string_view text) {
  Fates fates;
  while (!text.empty()) {
    Fate fate;
    fate.kind = static_cast<Kind>(text.front());
    text.remove_prefix(1);
    const auto read = std::from_chars(text.data(), text.data() + text.size(), fate.parameter);
    text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
    fates.push_back(fate);
  }
  return fates;
}

}  // namespace remediate::durability
