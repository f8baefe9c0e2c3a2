// `lyceum doctor`: what this machine is, which path each op takes and why, and which models fit.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/file.h"
#include "base/progress.h"
#include "base/threads.h"
#include "cli/verb.h"
#include "kernels/paths.h"
#include "kernels/peak.h"
#include "text/tokenizer.h"
#include "train/forecast.h"
#include "train/memory.h"
#include "train/open_data.h"

namespace lyceum {
namespace {

using Json = nlohmann::ordered_json;

// Shapes of the OLMoE form whose need of memory is shown; the last is OLMoE-1B-7B itself.
struct Shape {
  const char* name;
  int64_t vocab, d_model, n_layers, n_heads, d_ff, n_experts, top_k, sequence;
};
constexpr Shape kShapes[] = {
    {"tiny", 8192, 128, 4, 2, 128, 16, 2, 512},
    {"quickstart", 8192, 256, 6, 4, 256, 32, 2, 512},
    {"small", 16384, 512, 8, 8, 384, 32, 4, 1024},
    {"medium", 32768, 768, 12, 12, 512, 32, 4, 1024},
    {"large", 50304, 1024, 16, 16, 1024, 32, 4, 2048},
    {"OLMoE-1B-7B", 50304, 2048, 16, 16, 1024, 64, 8, 4096},
};

TrainConfig config_of(const Shape& s) {
  TrainConfig c;
  ModelConfig& m = c.model;
  m.vocab = s.vocab, m.d_model = s.d_model, m.n_layers = s.n_layers, m.n_heads = s.n_heads, m.d_ff = s.d_ff;
  m.n_experts = s.n_experts, m.top_k = s.top_k, m.max_positions = s.sequence;
  c.data.loader.sequence_length = s.sequence;
  c.train.micro_batch = std::max<int64_t>(1, 8192 / s.sequence);
  return c;
}

// The first line of a program's answer, "" when it is not there.
std::string answer(const char* command) {
  char line[256] = "";
  if (FILE* p = popen(command, "r")) {
    if (!std::fgets(line, sizeof line, p)) line[0] = 0;
    pclose(p);
  }
  std::string text = line;
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

double total_memory() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  double kib = 0;
  while (file >> name >> kib) {
    if (name == "MemTotal:") return kib * 1024;
    file.ignore(64, '\n');
  }
  return 0;
}

Json facts() {
  const CpuInfo& cpu = cpu_info();
  Json j;
  j["cpu"] = cpu.name;
  j["cores"] = static_cast<int>(std::thread::hardware_concurrency()), j["threads"] = thread_count();
  j["level"] = isa_name(isa_level());
  for (Isa isa : runnable_isas()) j["levels"].push_back(isa_name(isa));
  j["instructions"] = {{"avx2", cpu.avx2},
                       {"avx512", cpu.avx512},
                       {"avx512_bf16", cpu.avx512_bf16},
                       {"avx512_vnni", cpu.avx512_vnni},
                       {"avx512_fp16", cpu.avx512_fp16},
                       {"amx_bf16", cpu.amx_bf16},
                       {"amx_int8", cpu.amx_int8}};
  for (const kernels::KernelPath& p : kernels::kernel_paths())
    j["paths"].push_back({{"op", p.op}, {"path", p.path}, {"why", p.why}});
  const kernels::Peak peak = kernels::measure_peak(true), f32 = kernels::measure_peak(false, true);
  j["peak"] = {{"bf16_flops", peak.flops_all},
               {"bf16_flops_one_thread", peak.flops_one},
               {"f32_flops", f32.flops_all},
               {"read_bytes_per_second", peak.read_bandwidth},
               {"update_bytes_per_second", peak.update_bandwidth}};
  j["memory"] = {{"total", total_memory()}, {"available", memory_available()}};
  j["disk_free"] = free_disk_bytes(".");
  j["mpi"] = answer("mpirun --version 2>/dev/null");
  j["cuda"] = answer("nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null");
  const double room = memory_available();
  for (const Shape& s : kShapes) {
    const MemoryNeed need = memory_need(config_of(s));
    j["sizes"].push_back({{"name", s.name},
                          {"d_model", s.d_model},
                          {"n_layers", s.n_layers},
                          {"n_experts", s.n_experts},
                          {"top_k", s.top_k},
                          {"parameters", need.parameters},
                          {"train_bytes", need.total()},
                          {"infer_bytes", 2 * need.parameters},
                          {"trains", need.total() <= room},
                          {"infers", 2.2 * need.parameters <= room}});
  }
  return j;
}

std::string rate(double flops) {
  char text[32];
  if (flops >= 1e12) std::snprintf(text, sizeof text, "%.2f TFLOP/s", flops * 1e-12);
  else if (flops > 0) std::snprintf(text, sizeof text, "%.0f GFLOP/s", flops * 1e-9);
  else std::snprintf(text, sizeof text, "not measured");
  return text;
}

void print(const Json& j) {
  const auto text = [](const Json& v) { return v.get<std::string>(); };
  const auto bytes = [](const Json& v) { return human_bytes(v.get<double>()); };
  std::printf("CPU            %s\n", text(j["cpu"]).c_str());
  std::printf("cores          %d, compute threads %d\n", j["cores"].get<int>(), j["threads"].get<int>());
  std::string has, runs;
  for (const auto& [name, there] : j["instructions"].items()) has += there.get<bool>() ? name + " " : "";
  for (const Json& level : j["levels"]) runs += text(level) + " ";
  std::printf("instructions   %s\n", has.empty() ? "none that count" : has.c_str());
  std::printf("levels         %s(in force: %s; LYCEUM_ISA forces one)\n", runs.c_str(),
              text(j["level"]).c_str());
  std::printf("memory         %s, free for us %s\n", bytes(j["memory"]["total"]).c_str(),
              bytes(j["memory"]["available"]).c_str());
  std::printf("disk           %s free here\n", bytes(j["disk_free"]).c_str());
  const Json& peak = j["peak"];
  std::printf("peak           bf16 %s (one thread %s), f32 %s, measured\n", rate(peak["bf16_flops"]).c_str(),
              rate(peak["bf16_flops_one_thread"]).c_str(), rate(peak["f32_flops"]).c_str());
  std::printf("memory speed   %s/s read, %s/s updated (both ways counted), measured\n",
              bytes(peak["read_bytes_per_second"]).c_str(), bytes(peak["update_bytes_per_second"]).c_str());
  std::printf("MPI            %s\n", text(j["mpi"]).empty() ? "not installed" : text(j["mpi"]).c_str());
  std::printf("CUDA           %s\n",
              text(j["cuda"]).empty() ? "no GPU; nothing here needs one" : text(j["cuda"]).c_str());
  std::printf("\nwhich path an op takes\n");
  for (const Json& p : j["paths"])
    std::printf("  %-32s %-13s %s\n", text(p["op"]).c_str(), text(p["path"]).c_str(), text(p["why"]).c_str());
  std::printf("\nwhat fits (training state 16 bytes a parameter, and activations of 8192 tokens)\n");
  std::printf("  %-14s %22s %12s %12s      %12s\n", "size", "shape", "parameters", "training", "inference");
  for (const Json& s : j["sizes"]) {
    char shape[64];
    std::snprintf(shape, sizeof shape, "%ld x %ld, %ld of %ld", s["n_layers"].get<long>(),
                  s["d_model"].get<long>(), s["top_k"].get<long>(), s["n_experts"].get<long>());
    std::printf("  %-14s %22s %12s %12s %-4s %12s %s\n", text(s["name"]).c_str(), shape,
                human_count(s["parameters"].get<double>()).c_str(), bytes(s["train_bytes"]).c_str(),
                s["trains"].get<bool>() ? "yes" : "no", bytes(s["infer_bytes"]).c_str(),
                s["infers"].get<bool>() ? "yes" : "no");
  }
}

// What a recipe needs here, in memory and time; throws when it cannot fit.
void examine(const std::string& recipe, const std::vector<std::string>& arguments, bool as_json) {
  std::vector<Setting> overrides;
  for (const std::string& argument : arguments) overrides.push_back(parse_override(argument));
  TrainConfig config = read_recipe(recipe, overrides);
  config.validate();
  if (config.model.vocab == 0 || !config.train.from.empty()) resolve_model(config);
  config.model.validate();
  const MemoryNeed need = memory_need(config);
  refuse_what_cannot_fit(config);
  refuse_small_disk(config);
  const Forecast f = forecast(config);
  if (as_json) {
    const Json j = {{"parameters", need.parameters},
                    {"train_bytes", need.total()},
                    {"available_bytes", memory_available()},
                    {"step_seconds", f.step_seconds},
                    {"step_tokens", f.step_tokens},
                    {"steps", f.steps},
                    {"seconds", f.seconds}};
    std::printf("%s\n", j.dump(2).c_str());
    return;
  }
  std::printf("%s\nmemory   %s of %s; %s\ntime     %s\n", recipe.c_str(), human_bytes(need.total()).c_str(),
              human_bytes(memory_available()).c_str(), need.text().c_str(), f.text().c_str());
}

void add_doctor(CLI::App& root) {
  struct Options {
    std::string recipe;
    bool json = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* app =
      root.add_subcommand("doctor", "this machine: instruction sets, speed, memory, which models fit");
  app->add_option("RECIPE", o->recipe,
                  "what this recipe needs in memory and time, measured; refused if it cannot fit")
      ->check(CLI::ExistingFile);
  app->add_flag("--json", o->json, "the same for programs");
  app->allow_extras();
  app->footer(
      "With a recipe, keys can be given as for `lyceum train`: --section.key=value.\n"
      "Examples:\n"
      "  lyceum doctor\n"
      "  lyceum doctor --json | jq .peak\n"
      "  lyceum doctor recipes/olmoe-small.toml --train.micro_batch=4\n"
      "  LYCEUM_ISA=avx2 lyceum doctor");
  app->callback([app, o] {
    if (!o->recipe.empty()) return examine(o->recipe, app->remaining(), o->json);
    check(app->remaining().empty(), "doctor", "wanted a recipe before \"",
          app->remaining().empty() ? "" : app->remaining()[0], "\"");
    const Json j = facts();
    if (o->json) std::printf("%s\n", j.dump(2).c_str());
    else print(j);
  });
}

}  // namespace

extern const Verb kDoctorVerb{"doctor", add_doctor};

}  // namespace lyceum
