#include "remediate/setting/provider.h"

#include <algorithm>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/setting/directives.h"
#include "remediate/setting/iis_edit.h"
#include "remediate/setting/iis_protect.h"
#include "remediate/setting/redact.h"
#include "remediate/setting/xml_difference.h"

namespace remediate::setting {
namespace {

class IisXml final : public FileProvider {
 public:
  [[nodiscard]] std::string_view name() const override { return "iis-xml"; }
  [[nodiscard]] bool owns(std::string_view file_name) const override {
    return ascii_lower(file_name).ends_with(".config");
  }

  [[nodiscard]] Result<std::vector<Setting>> find(std::string_view file,
                                                  const Query& query) const override {
    TRY_LET(const auto document, read_document(file));
    return find_settings(document, query);
  }

  [[nodiscard]] Result<Edited> edit(std::string_view file,
                                    const std::vector<Edit>& edits) const override {
    return edit_settings(file, edits);
  }

  [[nodiscard]] Result<Edited> undo(std::string_view before, std::string_view after,
                                    std::string_view current) const override {
    return undo_settings(before, after, current);
  }

  [[nodiscard]] Result<std::vector<Difference>> compare(std::string_view a,
                                                        std::string_view b) const override {
    TRY_LET(const auto first, read_document(a));
    TRY_LET(const auto second, read_document(b));
    return difference_of(first.model, second.model);
  }

  [[nodiscard]] Result<std::string> redact(std::string_view file) const override {
    TRY_LET(const auto document, read_document(file));
    return redact_document(document);
  }

  [[nodiscard]] bool in_system_folders() const override { return true; }
  [[nodiscard]] std::optional<OldVersions> old_versions(std::string_view file_name) const override {
    if (!ascii_iequals(file_name, host_configuration)) return std::nullopt;
    return OldVersions{"configuration history of IIS", "C:\\inetpub\\history", "CFGHISTORY_",
                       std::string(host_configuration)};
  }
  [[nodiscard]] Loads loads(std::string_view kind) const override {
    if (kind == "module") return Loads::by_name;
    return kind == "globalModule" || kind == "isapiFilter" ? Loads::from_file : Loads::nothing;
  }
  [[nodiscard]] std::optional<Redirector> redirector(std::string_view file_name) const override {
    if (!ascii_iequals(file_name, host_configuration) &&
        !ascii_iequals(file_name, "administration.config"))
      return std::nullopt;
    return Redirector{"IIS", "redirection.config"};
  }
  [[nodiscard]] Result<std::optional<std::string>> redirected_to(
      std::string_view bytes) const override {
    return redirection_of(bytes);
  }

 private:
  static constexpr std::string_view host_configuration = "applicationHost.config";
};

/// .htaccess and .user.ini.
class Directives final : public FileProvider {
 public:
  explicit Directives(const Grammar& grammar) : grammar_(grammar) {}
  [[nodiscard]] std::string_view name() const override { return grammar_.provider; }
  [[nodiscard]] bool owns(std::string_view file_name) const override {
    return ascii_iequals(file_name, grammar_.file_name);
  }

  [[nodiscard]] Result<std::vector<Setting>> find(std::string_view file,
                                                  const Query& query) const override {
    return find_directives(grammar_, file, query);
  }

  [[nodiscard]] Result<Edited> edit(std::string_view file,
                                    const std::vector<Edit>& edits) const override {
    return edit_directives(grammar_, file, edits);
  }

  [[nodiscard]] Result<Edited> undo(std::string_view before, std::string_view after,
                                    std::string_view current) const override {
    return undo_directives(grammar_, before, after, current);
  }

  [[nodiscard]] Result<std::vector<Difference>> compare(std::string_view a,
                                                        std::string_view b) const override {
    TRY_LET(const DirectiveFile first, grammar_.parse(a));
    TRY_LET(const DirectiveFile second, grammar_.parse(b));
    return compare_directives(first, second);
  }

  [[nodiscard]] Result<std::string> redact(std::string_view file) const override {
    TRY_LET(const DirectiveFile parsed, grammar_.parse(file));
    return redact_directives(parsed);
  }

 private:
  const Grammar& grammar_;
};

const std::vector<const FileProvider*>& providers() {
  static const IisXml iis_xml;
  static const Directives htaccess(htaccess_grammar());
  static const Directives user_ini(user_ini_grammar());
  static const std::vector<const FileProvider*> all{&iis_xml, &htaccess, &user_ini};
  return all;
}

}  // namespace

std::unique_ptr<FileProvider> make_iis_xml_provider() { return std::make_unique<IisXml>(); }

const FileProvider* find_provider(std::string_view name) {
  const auto found = std::ranges::find(providers(), name, &FileProvider::name);
  return found == providers().end() ? nullptr : *found;
}

const FileProvider* provider_of(std::string_view file_name) {
  const auto found = std::ranges::find_if(
      providers(), [&](const FileProvider* provider) { return provider->owns(file_name); });
  return found == providers().end() ? nullptr : *found;
}

std::vector<std::string> provider_names() {
  std::vector<std::string> names;
  for (const FileProvider* provider : providers()) names.emplace_back(provider->name());
  return names;
}

}  // namespace remediate::setting
