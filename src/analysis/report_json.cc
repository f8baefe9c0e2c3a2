// The JSON form of reports (report.h).
#include <nlohmann/json.hpp>

#include "analysis/report.h"
#include "base/error.h"

namespace lyceum {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Headline, label, value, note, tone)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ReportCurves, step, tokens, loss, lr, tokens_per_second,
                                                share_of_peak, worst_load, gradient_norm, held_out_step,
                                                held_out_bits)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(DomainScore, name, bytes, model_bits, xz_bits)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(DataRow, name, documents, bytes, tokens, dropped_documents,
                                                dropped)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(RoutingLayer, layer, load, entropy, dead, domain_share,
                                                shown_experts, co_activation, vocabulary, concentration)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ExpertWords::Piece, text, share, occurrences)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ExpertWords, layer, expert, role, pieces)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(SaturationPoint, step, tokens, by_layer)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(RoutingReport, n_experts, top_k, tokens, domains, layers,
                                                saturation, words)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ReportSample, domain, prefix, continuation, code)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(CostRow, part, total, active)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ReportCosts, parts, figures)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ReportCommand, purpose, command, page)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ReportData, title, kicker, lead, headlines, scores, samples,
                                                curves, routing, data, costs, machine, commands)

namespace {

// null stands for NaN: in lists it becomes NaN again, as a member it is left out and the default (NaN) holds.
void restore_nan(nlohmann::json& j, int depth = 0) {
  check_data(depth < 64, "report", "nested too deeply");
  if (j.is_array()) {
    for (auto& item : j) {
      if (item.is_null()) item = NAN;
      else restore_nan(item, depth + 1);
    }
  } else if (j.is_object()) {
    for (auto it = j.begin(); it != j.end();) {
      if (it->is_null()) {
        it = j.erase(it);
      } else {
        restore_nan(*it, depth + 1);
        ++it;
      }
    }
  }
}

}  // namespace

std::string report_json(const ReportData& data) {
  return nlohmann::json(data).dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

ReportData report_from_json(const std::string& text, const std::string& where) {
  nlohmann::json j = nlohmann::json::parse(text, nullptr, false);
  check_data(j.is_object(), "report", where, " is not a JSON object");
  restore_nan(j);
  try {
    return j.get<ReportData>();
  } catch (const nlohmann::json::exception& e) {
    fail(ErrorKind::kCorruptData, "report", where, " is not a report: ", e.what());
  }
}

}  // namespace lyceum
