#include "analysis/html.h"

#include "analysis/svg.h"

namespace lyceum {
namespace {

constexpr const char* kPageCss = R"(
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.6 var(--sans);-webkit-font-smoothing:antialiased}
main,header.top{max-width:1120px;margin:0 auto;padding:0 24px}
header.top{padding-top:56px;padding-bottom:8px}
header.top .kicker{color:var(--accent);font-size:13px;font-weight:600;letter-spacing:.09em;text-transform:uppercase;margin:0 0 10px}
h1{font-size:clamp(30px,5vw,44px);line-height:1.12;letter-spacing:-.022em;margin:0 0 12px;font-weight:700;text-wrap:balance}
header.top .lead{font-size:19px;line-height:1.5;color:var(--ink-2);margin:0;max-width:44em}
nav{position:sticky;top:0;z-index:5;background:var(--page);border-bottom:1px solid var(--rule);margin-top:28px}
nav ul{max-width:1120px;margin:0 auto;padding:0 24px;display:flex;gap:22px;overflow-x:auto;list-style:none;scrollbar-width:none}
nav a{display:block;padding:12px 0;color:var(--ink-2);text-decoration:none;font-size:14px;font-weight:500;white-space:nowrap}
nav a:hover{color:var(--accent)}
section{padding-top:44px;scroll-margin-top:40px}
h2{font-size:25px;line-height:1.25;letter-spacing:-.014em;margin:0 0 6px;font-weight:680}
section>p.lead{color:var(--ink-2);margin:0 0 20px;max-width:46em}
h3{font-size:15px;line-height:1.4;margin:0 0 2px;font-weight:620}
.card{background:var(--paper);border:1px solid var(--rule);border-radius:14px;padding:20px 22px;min-width:0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(200px,1fr));gap:14px;margin-top:28px}
.cards .card{padding:16px 20px 18px}
.cards .label{color:var(--ink-2);font-size:13px;font-weight:500}
.cards .value{font-size:30px;line-height:1.2;font-weight:680;letter-spacing:-.025em;margin:3px 0 2px;font-variant-numeric:tabular-nums}
.cards .note{color:var(--ink-3);font-size:13px;line-height:1.45}
.good{color:var(--good)} .warn{color:var(--warn)}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:16px;margin-bottom:16px}
.thirds{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,300px),1fr));gap:16px;margin-bottom:16px}
figure{margin:0 0 16px} .grid>figure,.thirds>figure{margin:0}
figcaption p{margin:0 0 14px;color:var(--ink-2);font-size:14px;line-height:1.5;max-width:52em}
figcaption h3:last-child{margin-bottom:12px}
.scroll{overflow-x:auto;-webkit-overflow-scrolling:touch;padding-bottom:2px}
.scroll>svg.chart{min-width:620px;overflow:hidden} .scroll>svg.chart.heat,.scroll>svg.chart.columns{min-width:860px}
table{border-collapse:collapse;width:100%;font-size:14px;line-height:1.45;font-variant-numeric:tabular-nums}
th{color:var(--ink-2);font-weight:560;text-align:left;white-space:nowrap;border-bottom:1px solid var(--rule);padding:8px 16px 8px 0;vertical-align:bottom}
td{border-bottom:1px solid var(--grid);padding:9px 16px 9px 0;vertical-align:top}
tr:last-child td{border-bottom:0} th:last-child,td:last-child{padding-right:0}
.num{text-align:right;white-space:nowrap}
tr.total td{font-weight:640;border-top:1px solid var(--ink-3)}
td.key{font-weight:560;white-space:nowrap} td.text{min-width:17em;color:var(--ink-2);font-size:13px}
.chip{display:inline-block;font-size:12px;font-weight:600;letter-spacing:.02em;color:var(--ink-2);background:var(--page);border:1px solid var(--rule);border-radius:99px;padding:1px 10px}
.sample{display:flex;flex-direction:column;gap:12px}
.sample pre{margin:0;font:13.5px/1.6 var(--mono);white-space:pre-wrap;overflow-wrap:anywhere;color:var(--ink)}
.sample.prose pre{font-family:var(--sans);font-size:15px}
.sample .prefix{color:var(--ink-3)}
.words{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,250px),1fr));gap:14px}
.words .card{padding:14px 18px}
.words ol{list-style:none;margin:8px 0 0;padding:0;display:flex;flex-wrap:wrap;gap:5px}
.words code{font:12.5px/1.5 var(--mono);background:var(--page);border:1px solid var(--rule);border-radius:6px;padding:1px 6px;white-space:pre;overflow-wrap:anywhere}
.words li{white-space:nowrap}
.words li span{color:var(--ink-3);font-size:11px;margin-left:4px}
.command{margin:0 0 14px} .command p{margin:0 0 4px;color:var(--ink-2);font-size:14px}
.command pre{margin:0;font:13.5px/1.55 var(--mono);background:var(--page);border:1px solid var(--rule);border-radius:9px;padding:9px 14px;overflow-x:auto}
.verdict{font-size:16px;margin:0 0 16px}
footer{max-width:1120px;margin:56px auto 0;padding:20px 24px 48px;color:var(--ink-3);font-size:13px;border-top:1px solid var(--rule)}
.narrow{display:none}
@media (max-width:600px){
 .narrow{display:block} .wide{display:none}
 body{font-size:15px} main,header.top,nav ul{padding-left:16px;padding-right:16px} header.top{padding-top:34px}
 header.top .lead{font-size:17px} .card{padding:16px;border-radius:12px} section{padding-top:34px} h2{font-size:22px}
 .cards{grid-template-columns:1fr 1fr;gap:10px} .cards .card{padding:12px 14px 14px} .cards .value{font-size:24px}
}
@media print{nav{display:none} .card{break-inside:avoid} body{background:#fff}}
)";

}  // namespace

std::string wide_and_narrow(const std::string& wide, const std::string& narrow) {
  return "<div class=\"wide\">" + wide + "</div><div class=\"narrow\">" + narrow + "</div>";
}

void HtmlPage::end_section() {
  if (in_section_) body_ += "</section>\n";
  in_section_ = false;
}

void HtmlPage::section(const std::string& id, const std::string& heading, const std::string& lead) {
  end_section();
  in_section_ = true;
  contents_.emplace_back(id, heading);
  body_ += "<section id=\"" + escape_html(id) + "\">\n<h2>" + escape_html(heading) + "</h2>\n";
  if (!lead.empty()) body_ += "<p class=\"lead\">" + escape_html(lead) + "</p>\n";
}

void HtmlPage::figure(const std::string& heading, const std::string& markup, const std::string& reading,
                      bool scrolls) {
  body_ += "<figure class=\"card\"><figcaption>";
  if (!heading.empty()) body_ += "<h3>" + escape_html(heading) + "</h3>";
  if (!reading.empty()) body_ += "<p>" + escape_html(reading) + "</p>";
  body_ += "</figcaption>";
  body_ += scrolls ? "<div class=\"scroll\">" + markup + "</div>" : markup;
  body_ += "</figure>\n";
}

void HtmlPage::table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows,
                     const std::vector<bool>& numeric) {
  const auto css = [&](size_t i) { return i < numeric.size() && numeric[i] ? " class=\"num\"" : ""; };
  body_ += "<div class=\"scroll\"><table><thead><tr>";
  for (size_t i = 0; i < head.size(); ++i)
    body_ += std::string("<th") + css(i) + ">" + escape_html(head[i]) + "</th>";
  body_ += "</tr></thead><tbody>\n";
  for (const auto& row : rows) {
    body_ += !row.empty() && row[0] == "total" ? "<tr class=\"total\">" : "<tr>";
    for (size_t i = 0; i < row.size(); ++i)
      body_ += std::string("<td") +
               (i == 0    ? " class=\"key\""
                : *css(i) ? css(i)
                          : " class=\"text\"") +
               ">" + escape_html(row[i]) + "</td>";
    body_ += "</tr>\n";
  }
  body_ += "</tbody></table></div>\n";
}

void HtmlPage::open(const char* css_class) { body_ += std::string("<div class=\"") + css_class + "\">\n"; }
void HtmlPage::close() { body_ += "</div>\n"; }

std::string HtmlPage::document(const std::string& title, const std::string& header) {
  end_section();
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\"><head><meta "
      "charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>" +
      escape_html(title) + "</title>\n<style>\n" + chart_css() + kPageCss +
      "</style></head>\n<body>\n<header class=\"top\">" + header + "</header>\n";
  if (contents_.size() > 1) {
    out += "<nav aria-label=\"Contents\"><ul>";
    for (const auto& [id, heading] : contents_)
      out += "<li><a href=\"#" + escape_html(id) + "\">" + escape_html(heading) + "</a></li>";
    out += "</ul></nav>\n";
  }
  return out + "<main>\n" + body_ +
         "</main>\n<footer>Made by lyceum. One file, nothing fetched: keep it, mail it, open it "
         "offline.</footer>\n"
         "</body></html>\n";
}

}  // namespace lyceum
