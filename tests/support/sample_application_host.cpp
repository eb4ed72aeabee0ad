#include "tests/support/sample_content.h"

namespace sample {
namespace {

// Mixed indentation, references in values, a raw '>' and tags over several lines are meant.
constexpr std::string_view kBefore = R"(<?xml version="1.0" encoding="UTF-8"?>
<!--

    Configuration of the web server. Locks are set per section, for example:

        <location path="Default Web Site/owa/auth/help" overrideMode="Allow">
            <system.webServer>
                <handlers accessPolicy="Read, Script" />
            </system.webServer>
        </location>

        <virtualDirectory path="/auth/help" physicalPath="C:\ProgramData\COM1" />

        <section name="" />

-->
<configuration>

    <configSections>
        <sectionGroup name="system.applicationHost">
            <section name="applicationPools" allowDefinition="AppHostOnly" overrideModeDefault="Deny" />
            <section name="customMetadata" allowDefinition="AppHostOnly" overrideModeDefault="Deny" />
            <section name="sites" allowDefinition="AppHostOnly" overrideModeDefault="Deny" />
        </sectionGroup>
        <sectionGroup name="system.webServer">
            <section name="globalModules" allowDefinition="AppHostOnly" overrideModeDefault="Deny" />
            <section name="handlers" overrideModeDefault="Deny" />
            <section name="modules" allowDefinition="MachineToApplication" overrideModeDefault="Deny" />
        </sectionGroup>
    </configSections>

    <configProtectedData>
        <providers>
            <add name="IISWASOnlyRsaProvider" type="" description="Protects passwords" keyContainerName="iisWasKey" cspProviderName="" useMachineContainer="true" useOAEP="false" />
            <add name="AesProvider" type="Microsoft.ApplicationHost.AesProtectedConfigurationProvider" description="Session key" keyContainerName="iisConfigurationKey" sessionKey="SAMPLEONLYnotAKeyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" />
        </providers>
    </configProtectedData>

    <system.applicationHost>

        <applicationPools>
            <add name="DefaultAppPool" managedRuntimeVersion="v4.0" />
            <add name="MSExchangeOWAAppPool" managedRuntimeVersion="v4.0" startMode="AlwaysRunning">
                <processModel identityType="LocalSystem" />
            </add>
            <add name="MSExchangeOABAppPool" managedRuntimeVersion="v4.0" />
            <add name="ReportAppPool">
                <processModel identityType="SpecificUser" userName="CORP\report" password="sample-Passw0rd-&amp;-only" />
            </add>
        </applicationPools>

        <customMetadata>
            <key path="LM/W3SVC/1/ROOT/owa">
                <property id="6032" dataType="String" userType="1" attributes="Inherit" value="owa" />
            </key>
)";

constexpr std::string_view kAddedKey = R"(            <key path="LM/W3SVC/1/ROOT/owa/auth/help">
                <property id="1002" dataType="String" userType="1" attributes="None" value="IIsWebVirtualDir" />
            </key>
)";

constexpr std::string_view kSites = R"(        </customMetadata>

        <sites>
            <site name="Default Web Site" id="1" serverAutoStart="true">
                <application path="/">
                    <virtualDirectory path="/" physicalPath="%SystemDrive%\inetpub\wwwroot" />
                </application>
                <application path="/owa" applicationPool="MSExchangeOWAAppPool">
                    <virtualDirectory path="/" physicalPath="C:\Program Files\Microsoft\Exchange Server\V15\FrontEnd\HttpProxy\owa" />
)";

constexpr std::string_view kAddedFolder =
    R"(                    <virtualDirectory path="/auth/help" physicalPath="C:\ProgramData\COM1" />
)";

constexpr std::string_view kModules = R"(                </application>
                <application path="/ecp" applicationPool="MSExchangeOWAAppPool">
                    <virtualDirectory path="/" physicalPath="C:\Program Files\Microsoft\Exchange Server\V15\FrontEnd\HttpProxy\ecp" />
                </application>
                <application path="/OAB" applicationPool="MSExchangeOABAppPool">
                    <virtualDirectory path="/"
                        physicalPath="C:\Program Files\Microsoft\Exchange Server\V15\FrontEnd\HttpProxy\OAB" />
                </application>
                <application path="/reports" applicationPool="ReportAppPool">
                    <virtualDirectory path="/" physicalPath="D:\Reports" userName="CORP\report" password="sample-Passw0rd-&amp;-only" />
                </application>
                <bindings>
                    <binding protocol="http" bindingInformation="*:80:" />
                    <binding protocol="https" bindingInformation=":443:" sslFlags="0" />
                </bindings>
            </site>
            <site name="Exchange Back End" id="2">
                <application path="/">
                    <virtualDirectory path="/" physicalPath="C:\Program Files\Microsoft\Exchange Server\V15\ClientAccess" />
                    <virtualDirectory path="/Exchange" physicalPath="C:\Program Files\Microsoft\Exchange Server\V15\ClientAccess\owa" />
                </application>
            </site>
        </sites>

    </system.applicationHost>

    <system.webServer>
        <globalModules>
            <add name="UriCacheModule" image="%windir%\System32\inetsrv\cachuri.dll" />
            <add name="HttpCacheModule" image="%windir%\System32\inetsrv\cachhttp.dll" />
            <add name="StaticFileModule" image="%windir%\System32\inetsrv\static.dll" />
            <add name="kerbauth" image="C:\Program Files\Microsoft\Exchange Server\V15\Bin\kerbauth.dll" />
            <add name="cafe_exppw" image="C:\Program Files\Microsoft\Exchange Server\V15\FrontEnd\HttpProxy\bin\exppw.dll" />
        </globalModules>
        <isapiFilters>
            <filter name="ASP.Net_4.0_64bit" path="%windir%\Microsoft.NET\Framework64\v4.0.30319\aspnet_filter.dll" enableCache="true" preCondition="runtimeVersionv4.0,bitness64" />
        </isapiFilters>
    </system.webServer>

    <location path="" overrideMode="Allow">
        <system.webServer>
            <modules>
                <add name="HttpCacheModule" lockItem="true" />
                <add name="StaticFileModule" lockItem="true" />
            </modules>
            <handlers accessPolicy="Read, Script">
                <add name="PageHandlerFactory-Integrated-4.0" path="*.aspx" verb="GET,HEAD,POST,DEBUG" type="System.Web.UI.PageHandlerFactory" preCondition="integratedMode,runtimeVersionv4.0" />
                <add name="StaticFile" path="*" verb="*" modules="StaticFileModule,DefaultDocumentModule" resourceType="Either" requireAccess="Read" />
            </handlers>
        </system.webServer>
    </location>

    <location path="Default Web Site">
        <system.webServer>
            <httpProtocol>
                <customHeaders>
                    <add name="X-Note" value="a > b&#xA;second line" />
                </customHeaders>
            </httpProtocol>
        </system.webServer>
    </location>

    <location path="Default Web Site/OAB">
        <system.webServer>
            <handlers accessPolicy="Read" />
            <security>
                <access sslFlags="Ssl, Ssl128" />
            </security>
        </system.webServer>
    </location>

)";

constexpr std::string_view kAddedLocation =
    R"(    <location path="Default Web Site/owa/auth/help">
        <system.webServer>
            <handlers accessPolicy="Read, Script" />
        </system.webServer>
    </location>

)";

}  // namespace

std::string application_host() {
  std::string text;
  for (const std::string_view part :
       {kBefore, kAddedKey, kSites, kAddedFolder, kModules, kAddedLocation}) {
    for (const char c : part) {
      if (c == '\n') text.push_back('\r');
      text.push_back(c);
    }
  }
  return text + "</configuration>";
}

}  // namespace sample
