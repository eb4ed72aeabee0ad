#include "forger.h"

#include <set>

#include "remediate/crypto/digest.h"
#include "remediate/crypto/signature.h"
#include "remediate/host/durable.h"

namespace remediate::run::test {
namespace {

constexpr std::uint64_t max_bytes = 1u << 24;

std::string general(const std::string& pointer) {
  std::string shown, token;
  const auto end_token = [&] {
    if (!token.empty()) shown += token.find_first_not_of("0123456789") == token.npos ? "*" : token;
    token.clear();
  };
  for (const char letter : pointer) {
    if (letter == '/') {
      end_token();
      shown += '/';
    } else {
      token += letter;
    }
  }
  end_token();
  return shown;
}

void places(const Json& value, const std::string& pointer, std::vector<std::string>& all) {
  if (!pointer.empty()) all.push_back(pointer);
  if (value.is_object())
    for (const auto& [key, member] : value.items()) places(member, pointer + "/" + key, all);
  if (value.is_array())
    for (std::size_t index = 0; index < value.size(); ++index)
      places(value[index], pointer + "/" + std::to_string(index), all);
}

Json of_another_type(const Json& value) {
  if (value.is_string()) return 7;
  if (value.is_number() || value.is_boolean()) return "x";
  if (value.is_object()) return Json::array();
  return 7;
}

std::optional<Json> another_value(const Json& value) {
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_number_unsigned()) return value.get<std::uint64_t>() + 1;
  if (value.is_number()) return value.get<std::int64_t>() + 1;
  if (!value.is_string()) return std::nullopt;
  std::string text = value.get<std::string>();
  if (text.empty()) return "x";
  text.back() = text.back() == '0' ? '1' : '0';
  return text;
}

Json& at(Json& document, const std::string& pointer) {
  return document[Json::json_pointer(pointer)];
}

}  // namespace

std::vector<Mutation> mutations(const Json& document) {
  std::vector<std::string> pointers;
  places(document, "", pointers);
  std::vector<Mutation> all;
  std::set<std::pair<std::string, std::string>> seen;
  const auto add = [&](const std::string& pointer, const char* what, Json changed) {
    if (seen.emplace(general(pointer), what).second)
      all.push_back({general(pointer), what, std::move(changed)});
  };
  for (const std::string& pointer : pointers) {
    const std::size_t slash = pointer.rfind('/');
    Json without = document;
    Json& above = at(without, pointer.substr(0, slash));
    if (above.is_object()) {
      above.erase(pointer.substr(slash + 1));
      add(pointer, "missing", std::move(without));
    }
    const Json& value = document.at(Json::json_pointer(pointer));
    Json typed = document;
    at(typed, pointer) = of_another_type(value);
    add(pointer, "other type", std::move(typed));
    if (auto other = another_value(value)) {
      Json changed = document;
      at(changed, pointer) = std::move(*other);
      add(pointer, "other value", std::move(changed));
    }
  }
  return all;
}

Forger::Forger(World& world, std::string run) : world_(world), run_(std::move(run)) {
  const std::string journal = "journal/" + run_ + ".jsonl";
  records_ = must(journal::read_journal(read(journal))).records;
  manifest_ = must(parse_json(read("runs/" + run_ + "/manifest.json"), "manifest"));
  for (const std::string& path : {journal, head_name(), "runs/" + run_ + "/manifest.json"}) {
    before_[path] = read(path);
    if (path != journal) before_[path + ".p7s"] = read(path + ".p7s");
  }
}

std::string Forger::head_name() const {
  return "journal/" + head_prefix(run_) + std::to_string(records_.size()) + ".json";
}

std::string Forger::read(const std::string& path) const {
  const std::string whole = world_.store_path() + "/" + path;
  const std::size_t slash = whole.rfind('/');
  return must(host::read_whole(*must(world_.host().open_root(whole.substr(0, slash))),
                               whole.substr(slash + 1), max_bytes));
}

void Forger::write_text(const std::string& path, const std::string& bytes) {
  const std::string whole = world_.store_path() + "/" + path;
  const std::size_t slash = whole.rfind('/');
  must(host::write_durable(*must(world_.host().open_root(whole.substr(0, slash))),
                           whole.substr(slash + 1), bytes, 0600));
}

void Forger::sign(const std::string& path) {
  const auto store = world_.open_store();
  write_text(path + ".p7s",
             must(crypto::sign_detached(read(path), store->signer(), must(store->signer_key()))));
}

void Forger::bind(const Json& manifest, std::vector<journal::Record> records) {
  const std::string manifest_path = "runs/" + run_ + "/manifest.json";
  const std::uint64_t length = manifest_["journal_length"].get<std::uint64_t>();
  Json bound = manifest;
  std::string lines, digest;
  std::string head(64, '0');
  for (journal::Record& record : records) {
    if (&record - records.data() == static_cast<std::ptrdiff_t>(length)) {
      if (bound.contains("journal_head") && bound["journal_head"] == manifest_["journal_head"])
        bound["journal_head"] = head;
      const std::string bytes = write_json(bound);
      digest = crypto::sha256_hex(bytes);
      write_text(manifest_path, bytes);
      sign(manifest_path);
    }
    if (record.data.is_object() && record.data.contains("manifest_sha256") &&
        record.data["manifest_sha256"] == crypto::sha256_hex(before_[manifest_path]))
      record.data["manifest_sha256"] = digest;
    record.prev = head;
    const std::string line = journal::format_record(record);
    head = crypto::sha256_hex(std::string_view(line).substr(0, line.size() - 1));
    lines += line;
  }
  write_text("journal/" + run_ + ".jsonl", lines);
  Json signed_head = this->head();
  signed_head["head"] = head;
  write_head(signed_head);
}

void Forger::write_manifest(const Json& manifest) { bind(manifest, records_); }

void Forger::write_journal(std::vector<journal::Record> records) {
  bind(manifest_, std::move(records));
}

Json Forger::head() const { return must(parse_json(before_.at(head_name()), "head")); }

void Forger::write_head(const Json& head) {
  write_text(head_name(), write_json(head));
  sign(head_name());
}

void Forger::undo() {
  for (const auto& [path, bytes] : before_) write_text(path, bytes);
}

}  // namespace remediate::run::test
