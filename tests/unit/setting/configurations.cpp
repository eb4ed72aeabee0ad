#include "configurations.h"

#include <catch2/catch.hpp>

namespace remediate::setting::test {

std::string small_configuration() {
  return R"(<!--
  To change one path only:
  <location path="Default Web Site/x" overrideMode="Allow">
    <section name="" />
  </location>
  <virtualDirectory path="/x" physicalPath="C:\decoy" />
-->
<configuration>
  <configSections>
    <sectionGroup name="system.webServer">
      <section name="handlers" overrideModeDefault="Deny" />
    </sectionGroup>
  </configSections>
  <configProtectedData>
    <providers>
      <add name="AesProvider" type="Aes" sessionKey="AAECAwQFBgc=" />
    </providers>
  </configProtectedData>
  <system.applicationHost>
    <applicationPools>
      <add name="Pool">
        <processModel userName="svc" password="[enc:AesProvider:c2VjcmV0:enc]" />
      </add>
    </applicationPools>
    <sites>
      <site name="Default Web Site" id="1">
        <application path="/" applicationPool="Pool">
          <virtualDirectory path="/" physicalPath="%SystemDrive%\inetpub\wwwroot" />
          <!-- <virtualDirectory path="/x" physicalPath="C:\decoy" /> -->
          <virtualDirectory path="/x" physicalPath="C:\ProgramData\COM1" />
          <virtualDirectory path="/x/y" physicalPath="D:\good" />
        </application>
        <application path="/owa" applicationPool="Pool">
          <virtualDirectory path="/" physicalPath="C:\Exchange\owa" />
        </application>
        <application path="/owa/auth" applicationPool="Pool">
          <virtualDirectory path="/" physicalPath="C:\Exchange\owa\auth" />
        </application>
        <bindings>
          <binding protocol="http" bindingInformation="*:80:" />
          <binding protocol="https" bindingInformation="*:443:" />
        </bindings>
      </site>
      <site name="Exchange Back End" id="2">
        <application path="/">
          <virtualDirectory path="/" physicalPath="C:\Exchange\back" />
        </application>
      </site>
    </sites>
    <customMetadata>
      <key path="LM/W3SVC/1/ROOT/X">
        <property id="2102" value="x" />
      </key>
      <key path="LM/W3SVC/1/ROOT/owa">
        <property id="2102" value="owa" />
      </key>
      <key path="LM/W3SVC/1/ROOT/owa/auth">
        <property id="2102" value="auth" />
      </key>
      <key path="LM/W3SVC/10/ROOT/x" />
    </customMetadata>
  </system.applicationHost>
  <system.webServer>
    <globalModules>
      <add name="UriCacheModule" image="%windir%\System32\inetsrv\cachuri.dll" />
      <add name="HttpCacheModule" image="%windir%\System32\inetsrv\cachhttp.dll" />
    </globalModules>
    <isapiFilters>
      <filter name="Good" path="C:\good.dll" />
    </isapiFilters>
    <modules />
  </system.webServer>
  <location path="" overrideMode="Allow">
    <system.webServer>
      <handlers accessPolicy="Read, Script">
        <add name="Static" path="*" verb="*" />
        <add name="Rogue" path="*.png" verb="*" scriptProcessor="C:\a > b\php.exe" />
        <add name="Last" path="*.x" verb="GET&#xA;POST" />
      </handlers>
      <modules>
        <add name="HttpCacheModule" lockItem="true" />
      </modules>
    </system.webServer>
  </location>
  <location path="default web site/X">
    <system.webServer>
      <handlers accessPolicy="Read" />
    </system.webServer>
  </location>
  <location path="Default Web Site/owa">
    <system.web>
      <machineKey validationKey="0123456789ABCDEF" decryptionKey="AutoGenerate" />
    </system.web>
  </location>
  <location path="Default Web Site/owa/auth" />
  <location path="Default Web Site/owa/images" />
  <location path="Default Web Site/x/y" />
</configuration>
)";
}

std::string web_configuration() {
  return R"(<configuration>
  <connectionStrings>
    <add name="Main" connectionString="Server=db;User ID=sa;Password=hunter2" />
  </connectionStrings>
  <appSettings>
    <add key="ApiKey" value="k-123" />
    <add key="Colour" value="blue" />
    <add key="Colour" value="red" />
  </appSettings>
  <location inheritInChildApplications="false">
    <system.webServer>
      <handlers>
        <clear />
        <add name="HttpProxy" path="*" verb="GET,HEAD" />
      </handlers>
    </system.webServer>
  </location>
  <system.web>
    <httpRuntime maxRequestLength="4096" executionTimeout="90" />
  </system.web>
</configuration>
)";
}

std::string styled(const std::string& plain, const Style& style, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::string out = style.mark ? "\xEF\xBB\xBF" : "";
  std::string all =
      (style.declaration ? "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" : "") + plain;
  if (style.trailing_script) all += std::string("<!-- <") + "% Response.Write(1) %" + "> -->\n";
  if (!style.final_end) all.pop_back();
  bool at_start = true;
  for (const char c : all) {
    if (c == '\n') {
      const bool cr = style.ends == Style::Ends::crlf ||
                      (style.ends == Style::Ends::mixed && random() % 2 == 0);
      out += cr ? "\r\n" : "\n";
      at_start = true;
    } else if (c == ' ' && at_start && style.tabs) {
      out += '\t';
    } else {
      at_start = false;
      out += c;
    }
  }
  return out;
}

void Generator::line(int level, const std::string& text) {
  out_ += std::string(static_cast<std::size_t>(level) * 2, ' ') + text + "\n";
}

std::string Generator::note() {
  const auto n = " note=\"n" + std::to_string(++notes_) + "\"";
  return chance(6) ? "\n        " + n : n;
}

std::string Generator::value() {
  static const std::vector<std::string> values{"plain",
                                               "C:\\Program Files\\x",
                                               "a &gt; b",
                                               "a > b",
                                               "GET&#xA;POST",
                                               "it's",
                                               "&quot;q&quot;",
                                               "D\xC3\xB6rfer",
                                               "%SystemDrive%\\inetpub",
                                               "",
                                               "tab&#x9;here",
                                               "&#128640;",
                                               "a &amp; b"};
  return values[below(values.size())];
}

void Generator::sites() {
  line(2, "<sites>");
  const auto count = 1 + below(3);
  for (std::size_t s = 1; s <= count; ++s) {
    const auto site = "Site " + std::to_string(s);
    line(3, "<site name=\"" + site + "\" id=\"" + std::to_string(s) + "\"" + note() + ">");
    paths_.push_back(site);
    const auto applications = 1 + below(4);
    for (std::size_t a = 0; a < applications; ++a) {
      const auto path = a == 0 ? std::string("/") : "/app" + std::to_string(a);
      const auto base = a == 0 ? "" : path;
      line(4, "<application path=\"" + path + "\"" + note() + ">");
      const auto directories = below(4);
      if (chance(5)) line(5, "<!-- <virtualDirectory path=\"/d1\" physicalPath=\"decoy\" /> -->");
      line(5, "<virtualDirectory path=\"/\" physicalPath=\"" + value() + "\"" + note() + " />");
      paths_.push_back(site + base);
      metadata_.push_back(std::to_string(s) + "/ROOT" + base);
      for (std::size_t d = 1; d <= directories; ++d) {
        const auto name = "/d" + std::to_string(d);
        const auto text = "<virtualDirectory path='" + name + "' physicalPath=\"" + value() + "\"" +
                          note() + (chance(3) ? "></virtualDirectory>" : "/>");
        if (chance(8) && out_.ends_with('\n')) {
          out_.pop_back();
          out_ += text + "\n";
        } else {
          line(5, text);
        }
        paths_.push_back(site + base + name);
        metadata_.push_back(std::to_string(s) + "/ROOT" + base + name);
      }
      line(4, "</application>");
    }
    line(3, "</site>");
  }
  line(2, "</sites>");
}

void Generator::metadata() {
  line(2, "<customMetadata>");
  for (const auto& path : metadata_)
    if (chance(2)) {
      line(3, "<key path=\"LM/W3SVC/" + path + "\"" + note() + ">");
      line(4, "<property id=\"2102\" value=\"" + value() + "\" />");
      line(3, "</key>");
    }
  line(2, "</customMetadata>");
}

void Generator::web_server(int level, const std::string& tag) {
  line(level, "<system.webServer>");
  for (const std::string list : {"handlers", "modules", "globalModules", "isapiFilters"}) {
    if (chance(3)) continue;
    const auto count = below(5);
    if (count == 0) {
      line(level + 1, "<" + list + " />");
      continue;
    }
    line(level + 1, "<" + list + note() + ">");
    if (chance(4)) line(level + 2, "<clear />");
    for (std::size_t i = 0; i < count; ++i)
      line(level + 2, (list == "isapiFilters" ? "<filter" : "<add") + std::string(" name=\"") +
                          tag + list + std::to_string(i) + "\"" + note() + " path=\"" + value() +
                          "\" />" + (chance(5) ? " <!-- why -->" : ""));
    line(level + 1, "</" + list + ">");
  }
  line(level, "</system.webServer>");
}

void Generator::locations() {
  line(1, "<location path=\"\" overrideMode=\"Allow\"" + note() + ">");
  web_server(2, "top");
  line(1, "</location>");
  for (std::size_t i = 0; i < paths_.size(); ++i) {
    if (!chance(2)) continue;
    line(1, "<location path=\"" + paths_[i] + "\"" + note() + ">");
    web_server(2, "l" + std::to_string(i));
    line(1, "</location>");
    if (chance(4)) line(0, "");
  }
}

std::string Generator::file() {
  out_.clear();
  paths_.clear();
  metadata_.clear();
  line(
      0,
      "<!-- <location path=\"Site 1\" overrideMode=\"Allow\"><section name=\"\" /></location> -->");
  line(0, "<configuration>");
  line(1,
       "<configProtectedData><providers><add name=\"A\" sessionKey=\"c2s=\" "
       "/></providers></configProtectedData>");
  line(1, "<system.applicationHost>");
  sites();
  metadata();
  line(1, "</system.applicationHost>");
  web_server(1, "server");
  locations();
  line(1, "<system.web><machineKey validationKey=\"00FF\"" + note() + " /></system.web>");
  line(0, "</configuration>");
  Style style;
  style.ends = static_cast<Style::Ends>(below(3));
  style.mark = chance(2);
  style.declaration = !chance(4);
  style.tabs = chance(4);
  style.final_end = !chance(2);
  style.trailing_script = chance(4);
  return styled(out_, style, static_cast<std::uint32_t>(random_()));
}

const FileProvider& provider() {
  const auto* found = find_provider("iis-xml");
  REQUIRE(found != nullptr);
  return *found;
}

Query query(std::string kind, std::vector<AttributeTest> where, std::string path) {
  return Query{std::move(kind), std::move(path), std::move(where)};
}

Edit removal(std::string address) {
  return Edit{std::move(address), Change{ChangeKind::remove_element, "", "", ""}};
}

Edit setting(std::string address, std::string attribute, std::string value) {
  return Edit{std::move(address),
              Change{ChangeKind::set_attribute, std::move(attribute), std::move(value), ""}};
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const auto at = text.find(what);
  REQUIRE(at != std::string::npos);
  REQUIRE(text.find(what, at + 1) == std::string::npos);
  return text.replace(at, what.size(), with);
}

}  // namespace remediate::setting::test
