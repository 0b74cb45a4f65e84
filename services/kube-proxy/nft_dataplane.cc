// libnftables and libnetfilter_conntrack live here and nowhere else.
#include <arpa/inet.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <nftables/libnftables.h>

#include <cerrno>
#include <cstring>

#include "services/kube-proxy/dataplane.h"

namespace coxswain::proxy {
namespace {

struct Dump {
  const std::function<bool(const UdpBinding&)>* stale = nullptr;
  std::vector<nf_conntrack*> doomed;
};

std::string address_of(std::uint32_t network_order) {
  char text[INET_ADDRSTRLEN] = {};
  inet_ntop(AF_INET, &network_order, text, sizeof(text));
  return text;
}

int on_flow(nf_conntrack_msg_type, nf_conntrack* flow, void* user) {
  auto& dump = *static_cast<Dump*>(user);
  if (nfct_get_attr_u8(flow, ATTR_L4PROTO) != IPPROTO_UDP) return NFCT_CB_CONTINUE;
  UdpBinding binding;
  binding.service_ip = address_of(nfct_get_attr_u32(flow, ATTR_ORIG_IPV4_DST));
  binding.service_port = ntohs(nfct_get_attr_u16(flow, ATTR_ORIG_PORT_DST));
  binding.endpoint_ip = address_of(nfct_get_attr_u32(flow, ATTR_REPL_IPV4_SRC));
  if ((*dump.stale)(binding)) {
    dump.doomed.push_back(flow);
    return NFCT_CB_STOLEN;
  }
  return NFCT_CB_CONTINUE;
}

class NftDataplane final : public Dataplane {
 public:
  explicit NftDataplane(nft_ctx* context) : context_(context) {
    nft_ctx_buffer_error(context_);
    nft_ctx_buffer_output(context_);
  }
  ~NftDataplane() override { nft_ctx_free(context_); }

  Result<void> apply(const std::string& transaction) override {
    if (nft_run_cmd_from_buffer(context_, transaction.c_str()) == 0) return {};
    const char* text = nft_ctx_get_error_buffer(context_);
    std::string message = text != nullptr ? text : "unknown error";
    const bool denied = message.find("Operation not permitted") != std::string::npos;
    message = message.substr(0, message.find('\n'));
    if (denied) {
      return make_error(ErrorCode::kPermissionDenied,
                        "no right to change nftables: run kube-proxy as root or with CAP_NET_ADMIN");
    }
    return make_error(ErrorCode::kInternal, "nftables: " + message);
  }

  Result<void> remove_table() override {
    return apply(std::string("add table ") + kTable + "\ndelete table " + kTable + "\n");
  }

  bool intact() override {
    // The rules that everything hangs on; "flush table" takes them, "flush ruleset" the chains as well.
    for (const auto& [chain, rule] :
         {std::pair{"nat_prerouting", "jump services"}, std::pair{"services", "@service_ips"},
          std::pair{"nat_postrouting", "masquerade"}}) {
      const std::string command = std::string("list chain ") + kTable + " " + chain + "\n";
      if (nft_run_cmd_from_buffer(context_, command.c_str()) != 0) return false;
      const char* text = nft_ctx_get_output_buffer(context_);
      if (text == nullptr || std::strstr(text, rule) == nullptr) return false;
    }
    return true;
  }

  void forget_udp(const std::function<bool(const UdpBinding&)>& stale) override {
    nfct_handle* handle = nfct_open(CONNTRACK, 0);
    if (handle == nullptr) return;  // no conntrack in this kernel: nothing to forget
    Dump dump{&stale, {}};
    nfct_callback_register(handle, NFCT_T_ALL, on_flow, &dump);
    std::uint32_t family = AF_INET;
    nfct_query(handle, NFCT_Q_DUMP, &family);
    nfct_callback_unregister(handle);
    for (nf_conntrack* flow : dump.doomed) {
      nfct_query(handle, NFCT_Q_DESTROY, flow);
      nfct_destroy(flow);
    }
    nfct_close(handle);
  }

 private:
  nft_ctx* context_;
};

}  // namespace

Result<std::unique_ptr<Dataplane>> make_nft_dataplane() {
  nft_ctx* context = nft_ctx_new(NFT_CTX_DEFAULT);
  if (context == nullptr) return make_error(ErrorCode::kInternal, "cannot start libnftables");
  return std::unique_ptr<Dataplane>(std::make_unique<NftDataplane>(context));
}

}  // namespace coxswain::proxy
