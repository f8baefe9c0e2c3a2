// Numbers that options take. CLI11's own checks name the largest double in their error, all 309 digits of it.
#pragma once

namespace CLI {
class Validator;
}

namespace lyceum {

// Finite and at least 0, or with `positive` above 0.
CLI::Validator finite_number(bool positive);

}  // namespace lyceum
