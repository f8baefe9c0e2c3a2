// Charts and the report page. Oracles: an XML parser of our own (balance, quoting, entities) and Python's
// where it is, values read back from the drawing, the structs that were given.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cmath>
#include <filesystem>
#include <functional>

#include "analysis/report.h"
#include "analysis/routing.h"
#include "analysis/svg.h"
#include "base/error.h"
#include "base/file.h"
#include "base/random.h"

namespace lyceum {
namespace {

namespace fs = std::filesystem;

// Walks markup as XML: every tag closed in order, attributes quoted, no stray < or &. Returns what is wrong,
// or "".
std::string why_not_well_formed(const std::string& text) {
  std::vector<std::string> open;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '&') {
      const size_t end = text.find(';', i);
      if (end == std::string::npos || end - i > 8) return "stray & at " + text.substr(i, 40);
      continue;
    }
    if (text[i] != '<') continue;
    if (text.compare(i, 9, "<!DOCTYPE") == 0) {
      i = text.find('>', i);
      continue;
    }
    const bool closing = text[i + 1] == '/';
    size_t at = i + 1 + closing;
    std::string name;
    while (at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) || text[at] == '-'))
      name += text[at++];
    if (name.empty()) return "stray < at " + text.substr(i, 40);
    bool quoted = false;
    for (; at < text.size() && (quoted || text[at] != '>'); ++at) {
      if (text[at] == '"') quoted = !quoted;
      if (text[at] == '<') return "tag inside a tag at " + text.substr(i, 60);
      if (text[at] == '=' && !quoted && text[at + 1] != '"')
        return "attribute without quotes in " + text.substr(i, 60);
    }
    if (at >= text.size()) return "tag without end at " + text.substr(i, 60);
    if (closing) {
      if (open.empty() || open.back() != name)
        return "</" + name + "> closes " + (open.empty() ? "nothing" : open.back()) + " near " +
               text.substr(i > 80 ? i - 80 : 0, 80);
      open.pop_back();
    } else if (text[at - 1] != '/') {
      open.push_back(name);
    }
    i = at;
  }
  return open.empty() ? "" : "not closed: " + open.back();
}

size_t count_of(const std::string& text, const std::string& what) {
  size_t n = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size())) ++n;
  return n;
}

ReportData example() {
  ReportData d =
      report_from_json(read_file(LYCEUM_SOURCE_DIR "/tests/report_example.json"), "report_example.json");
  return d;
}

TEST(Svg, TicksAreRoundAndCoverTheRange) {
  EXPECT_EQ(axis_ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(axis_ticks(0.9, 2.1, 4), (std::vector<double>{1, 1.5, 2}));
  EXPECT_EQ(axis_ticks(1, 10000, 4, true), (std::vector<double>{1, 10, 100, 1000, 10000}));
  EXPECT_EQ(axis_ticks(3, 3, 5), std::vector<double>{3});
  const RandomKey key(1);
  for (uint64_t i = 0; i < 2000; ++i) {
    const double low = key.normal(3 * i) * std::pow(10.0, static_cast<double>(key.below(3 * i + 1, 12)) - 6);
    const double high =
        low + std::abs(key.normal(3 * i + 2)) * std::pow(10.0, static_cast<double>(key.below(i, 9)) - 4) +
        1e-9;
    const auto ticks = axis_ticks(low, high, 5);
    ASSERT_LE(ticks.size(), 12u);
    for (const double t : ticks) {
      ASSERT_GE(t, low - (high - low) * 1e-6);
      ASSERT_LE(t, high + (high - low) * 1e-6);
    }
  }
}

TEST(Svg, TextIsSafeWhateverItHolds) {
  EXPECT_EQ(escape_html("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
  EXPECT_EQ(escape_html(std::string("a\0\x1b[31m\xff", 8)), "a\xef\xbf\xbd\xef\xbf\xbd[31m\xef\xbf\xbd");
  EXPECT_EQ(escape_html("\xc0\xaf\xed\xa0\x80"),
            "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(escape_html("\xe4\xb8\xad\n\t"), "\xe4\xb8\xad\n\t");
}

TEST(Svg, ALineLeadsFromTheFirstPointToTheLast) {
  LineChart chart;
  chart.title = "t";
  chart.series = {{"a", {0, 10}, {0, 100}}};
  chart.zero_based = true;
  const std::string svg = line_chart(chart);
  EXPECT_EQ(why_not_well_formed(svg), "");
  const size_t at = svg.find("<path d=\"M");
  ASSERT_NE(at, std::string::npos);
  double x0, y0, x1, y1;
  ASSERT_EQ(std::sscanf(svg.c_str() + at, "<path d=\"M%lf %lfL%lf %lf", &x0, &y0, &x1, &y1), 4);
  EXPECT_LT(x0, x1);
  EXPECT_GT(y0, y1);                    // up is small in SVG
  EXPECT_NEAR(x1, chart.width - 8, 1);  // to the right edge
}

TEST(Svg, EveryChartSurvivesNothingOnePointNanInfinityAndHostileNames) {
  const std::string name = "<b>\"&\xff";
  const std::vector<std::vector<double>> cases = {
      {}, {1}, {NAN, NAN}, {INFINITY, 2, -INFINITY}, {0, 0, 0}, {-1, -2, 1e300}};
  for (const auto& values : cases) {
    std::vector<double> x(values.size());
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i);
    const std::vector<std::string> names(values.size(), name);
    for (const bool log : {false, true}) {
      LineChart lines;
      lines.title = name;
      lines.log_x = lines.log_y = log, lines.smooth = true;
      lines.series = {{name, x, values}, {name, x, {}}};
      lines.references = {{NAN, name}, {1, name}};
      EXPECT_EQ(why_not_well_formed(line_chart(lines)), "");
      EXPECT_EQ(line_chart(lines).find("nan"), std::string::npos);
      EXPECT_EQ(line_chart(lines).find("inf"), std::string::npos);
    }
    BarChart bars;
    bars.categories = names, bars.series = {{name, values}, {name, values}}, bars.notes = names;
    EXPECT_EQ(why_not_well_formed(bar_chart(bars)), "");
    ColumnRows columns;
    columns.rows = {name, name}, columns.columns = names, columns.values = values,
    columns.references = {{0.5, name}};
    EXPECT_EQ(why_not_well_formed(column_rows(columns)), "");
    HeatMap map;
    map.rows = {name}, map.columns = names, map.values = values, map.row_label = map.column_label = name;
    EXPECT_EQ(why_not_well_formed(heat_map(map)), "");
    map.scale = HeatScale::kAroundOne;
    EXPECT_EQ(why_not_well_formed(heat_map(map)), "");
    ShareBars shares;
    shares.rows = {name}, shares.parts = names, shares.values = values;
    EXPECT_EQ(why_not_well_formed(share_bars(shares)), "");
  }
}

TEST(Svg, AHeatMapHasACellPerValueThatSaysIt) {
  HeatMap map;
  map.row_label = "layer", map.column_label = "expert";
  map.rows = {"0", "1"}, map.columns = {"0", "1", "2"};
  map.values = {1, 2, 0.25, 1, NAN, 4};
  map.scale = HeatScale::kAroundOne;
  const std::string svg = heat_map(map);
  EXPECT_EQ(count_of(svg, "class=\"cell "), 5u);
  EXPECT_NE(svg.find("layer 0, expert 1: 2.00"), std::string::npos);
  EXPECT_EQ(count_of(svg, "cell d8\""), 2u);   // the two ones: the neutral middle
  EXPECT_EQ(count_of(svg, "cell d16\""), 1u);  // 4: the warm end
  EXPECT_EQ(count_of(svg, "cell d0\""), 1u);   // 1/4: the cool end
}

TEST(Svg, BarsAreAsLongAsTheirValues) {
  BarChart bars;
  bars.categories = {"a", "b"};
  bars.series = {{"s", {1, 2}}};
  const std::string svg = bar_chart(bars);
  std::vector<double> widths;
  for (size_t at = svg.find("<rect"); at != std::string::npos; at = svg.find("<rect", at + 1)) {
    const size_t w = svg.find("width=\"", at), c = svg.find("class=\"bar", at);
    if (c != std::string::npos && c < svg.find('>', at))
      widths.push_back(std::strtod(svg.c_str() + w + 7, nullptr));
  }
  ASSERT_EQ(widths.size(), 2u);
  EXPECT_NEAR(widths[1] / widths[0], 2, 0.01);
}

TEST(Svg, AStandaloneDrawingCarriesItsStyles) {
  LineChart chart;
  chart.series = {{"a", {0, 1}, {0, 1}}};
  const std::string svg = standalone_svg(line_chart(chart));
  EXPECT_NE(svg.find("xmlns=\"http://www.w3.org/2000/svg\""), std::string::npos);
  EXPECT_NE(svg.find("prefers-color-scheme:dark"), std::string::npos);
  EXPECT_EQ(why_not_well_formed(svg), "");
}

TEST(Report, TheExampleIsOneWellFormedFileThatFetchesNothing) {
  const std::string html = report_html(example());
  EXPECT_EQ(why_not_well_formed(html), "");
  for (const char* fetch : {"<script", "<link", "src=", "@import", "url("})
    EXPECT_EQ(html.find(fetch), std::string::npos) << fetch;
  EXPECT_EQ(count_of(html, "http"), 1u);  // the namespace
  for (const char* id : {"held-out", "samples", "training", "routing", "data", "cost", "machine", "repeat"})
    EXPECT_NE(html.find("<section id=\"" + std::string(id) + "\""), std::string::npos) << id;
  EXPECT_GE(count_of(html, "<svg"), 12u);
  EXPECT_EQ(count_of(html, "role=\"img\" aria-label=\"\""), 0u);  // every picture has a name
}

TEST(Report, PythonsXmlParserReadsTheExample) {
  if (std::system("python3 -c 'import xml.etree.ElementTree' 2>/dev/null") != 0)
    GTEST_SKIP() << "no Python here";
  const std::string path = (fs::temp_directory_path() / "lyceum_report_test.html").string();
  write_file(path, report_html(example()));
  EXPECT_EQ(
      std::system(("python3 -c \"import sys, xml.etree.ElementTree as E; E.parse('" + path + "')\"").c_str()),
      0);
  if (const char* keep = std::getenv("LYCEUM_KEEP_REPORT"))
    fs::copy_file(path, keep, fs::copy_options::overwrite_existing);
  fs::remove(path);
}

TEST(Report, DomainsThatLoseToXzAreSaidToAndTheVerdictIsByteWeighted) {
  ReportData data;
  data.scores = {{"prose", 100, 2.0, 3.0}, {"tiny", 300, 4.0, 3.0}};
  const std::string html = report_html(data);
  EXPECT_EQ(count_of(html, "xz is smaller"), 2u);  // one domain, drawn for screens and for phones
  EXPECT_NE(html.find("<strong>3.500</strong> bits per byte"), std::string::npos);  // (200 + 1200) / 400
  EXPECT_NE(html.find("<strong>3.000</strong>"), std::string::npos);
  EXPECT_NE(html.find("17 % more"), std::string::npos);
  EXPECT_NE(html.find("smaller in 1 of 2 domains"), std::string::npos);
}

TEST(Report, EmptyPartsAreNotShownAndHostileTextIsText) {
  ReportData data;
  data.title = "<script>alert(1)</script>";
  data.samples = {{"c", "</pre><img src=x>", "&&", true}};
  data.commands = {{"a", "x < y && z"}};
  const std::string html = report_html(data);
  EXPECT_EQ(why_not_well_formed(html), "");
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("<img"), std::string::npos);
  EXPECT_EQ(html.find("id=\"training\""), std::string::npos);
  EXPECT_EQ(why_not_well_formed(report_html(ReportData{})), "");
}

TEST(Report, JsonBringsBackTheSamePage) {
  ReportData data = example();
  data.scores.push_back({"unknown", 5, NAN, NAN});
  const std::string json = report_json(data);
  EXPECT_EQ(report_json(report_from_json(json, "x")), json);
  EXPECT_EQ(report_html(report_from_json(json, "x")), report_html(data));
}

TEST(Report, JsonThatIsNoReportIsRefusedWithItsName) {
  for (const char* text : {"", "[]", "{\"scores\": 3}", "{\"curves\": {\"loss\": [\"x\"]}}"}) {
    try {
      report_from_json(text, "broken.json");
      ADD_FAILURE() << text;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find("broken.json"), std::string::npos);
    }
  }
}

TEST(Report, RoutingCountsBecomePicturesWithTheirNumbers) {
  RoutingCounts counts({2, 4, 2, 2, 10});
  const RandomKey key(3);
  std::vector<int32_t> experts, domains, ids;
  for (uint64_t t = 0; t < 500; ++t) {
    const auto first = static_cast<int32_t>(key.below(2 * t, 3));  // expert 3 stays without first choices
    experts.push_back(first);
    experts.push_back((first + 1) % 3);
    domains.push_back(static_cast<int32_t>(t % 2));
    ids.push_back(first * 2);
  }
  for (int64_t layer = 0; layer < 2; ++layer) counts.add({layer, experts, domains, ids, {}, {}});
  const RoutingReport report =
      routing_report(counts, {"c", "prose"}, [](int32_t id) { return "<" + std::to_string(id) + ">"; });
  ASSERT_EQ(report.layers.size(), 2u);
  EXPECT_EQ(report.layers[0].dead, 1);
  EXPECT_EQ(report.tokens, 500);
  EXPECT_EQ(report.layers[1].domain_share, counts.domain_specialisation(1));
  ASSERT_FALSE(report.words.empty());
  EXPECT_EQ(report.words[0].pieces[0].share, 1.0);
  ReportData data;
  data.routing = report;
  const std::string html = report_html(data);
  EXPECT_EQ(why_not_well_formed(html), "");
  EXPECT_NE(html.find("2 experts never got a token"), std::string::npos);  // one in each layer
  EXPECT_NE(html.find("&lt;0&gt;"), std::string::npos);
}

}  // namespace
}  // namespace lyceum
