// The list of routers: one row each. To add one, write routers/<name>.cc and name it here.
#include "moe/router.h"

namespace lyceum {

std::unique_ptr<Router> make_softmax_top_k(const RouterOptions&, const std::string&, ParameterList&);

const std::vector<RouterKind>& router_table() {
  static const std::vector<RouterKind> table = {
      {"softmax_top_k", "softmax over all experts, the k largest, gates as they are or renormalised", true,
       make_softmax_top_k},
  };
  return table;
}

}  // namespace lyceum
