// Personal data by their form: e-mail addresses, telephone numbers, IPv4 addresses.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace lyceum {

enum class PiiKind { kEmail, kPhone, kIp };
const char* pii_name(PiiKind kind);  // "email_address", "phone_number", "ip_address", as Dolma names them

struct PiiSpan {
  PiiKind kind;
  size_t begin, end;  // bytes
};

// In order, not overlapping. E-mail: name@host.tld. Phone: North American 3-3-4 digits or +country with at
// least nine digits, set off from other digits. IP: four numbers of 0 to 255, but not loopback, unspecified,
// broadcast and private ones, which name nobody.
std::vector<PiiSpan> find_pii(std::string_view text);

}  // namespace lyceum
