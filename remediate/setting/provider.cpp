#include "remediate/setting/provider.h"

#include "remediate/base/try.h"
#include "remediate/setting/iis_edit.h"
#include "remediate/setting/redact.h"
#include "remediate/setting/xml_difference.h"

namespace remediate::setting {
namespace {

class IisXml final : public FileProvider {
 public:
  [[nodiscard]] std::string_view name() const override { return "iis-xml"; }

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
};

}  // namespace

std::unique_ptr<FileProvider> make_iis_xml_provider() { return std::make_unique<IisXml>(); }

const FileProvider* find_provider(std::string_view name) {
  static const IisXml iis_xml;
  return name == iis_xml.name() ? &iis_xml : nullptr;
}

std::vector<std::string> provider_names() { return {"iis-xml"}; }

}  // namespace remediate::setting
