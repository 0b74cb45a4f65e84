// yaml-cpp's event parser into json::Value: anchors are kept as finished values and copied at each
// alias, counted against max_values, so a bomb stops at the bound and not at the end of memory.
#include <map>
#include <optional>
#include <sstream>

#include "libs/api/yaml/yaml.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/exceptions.h"
#include "yaml-cpp/parser.h"

namespace coxswain::yaml {
namespace {

struct TooMuch {
  std::string message;
  YAML::Mark mark;
};

std::size_t count(const json::Value& value) {
  std::size_t total = 1;
  if (value.is_array()) {
    for (const json::Value& item : value.as_array()) total += count(item);
  } else if (value.is_object()) {
    for (const json::Member& member : value.as_object()) total += count(member.second);
  }
  return total;
}

int depth(const json::Value& value) {
  int deepest = 0;
  if (value.is_array()) {
    for (const json::Value& item : value.as_array()) deepest = std::max(deepest, depth(item));
  } else if (value.is_object()) {
    for (const json::Member& member : value.as_object()) deepest = std::max(deepest, depth(member.second));
  } else {
    return 0;
  }
  return deepest + 1;
}

class Builder : public YAML::EventHandler {
 public:
  explicit Builder(const ParseOptions& options) : options_(options) {}

  void OnDocumentStart(const YAML::Mark&) override {
    root_ = json::Value();
    anchors_.clear();
    frames_.clear();
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { finish(mark, anchor, {}, false); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw TooMuch{"alias of an unfinished anchor", mark};
    charge(mark, found->second.nodes - 1);
    if (static_cast<int>(frames_.size()) + found->second.depth > options_.max_depth) {
      throw TooMuch{"nested too deeply", mark};
    }
    finish(mark, 0, found->second.value, false);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    // "?" marks a plain scalar, "!" a quoted one.
    const bool plain = tag == "?" || tag.empty();
    json::Value value = plain ? resolve_scalar(text) : tagged(tag, text);
    finish(mark, anchor, std::move(value), plain && text == "<<", &text);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, anchor, json::Value::array());
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, anchor, json::Value::object());
  }
  void OnMapEnd() override {
    Frame& top = frames_.back();
    for (json::Value& source : top.merges) merge(top, source);
    close();
  }

  json::Value take() { return std::move(root_); }

 private:
  struct Frame {
    json::Value value;
    YAML::anchor_t anchor = 0;
    YAML::Mark mark;
    std::string key;
    bool has_key = false;
    bool merge_key = false;
    std::vector<json::Value> merges;
  };
  struct Anchored {
    json::Value value;
    std::size_t nodes = 0;
    int depth = 0;
  };

  static json::Value tagged(const std::string& tag, const std::string& text) {
    if (tag == "tag:yaml.org,2002:str" || tag == "!") return json::Value(text);
    if (tag == "tag:yaml.org,2002:binary") return json::Value(text);
    if (tag == "tag:yaml.org,2002:float") {
      json::Value value = resolve_scalar(text);
      return value.is_number() ? json::Value(value.as_double()) : value;
    }
    return resolve_scalar(text);
  }

  void charge(const YAML::Mark& mark, std::size_t nodes) {
    values_ += nodes;
    if (values_ > options_.max_values) throw TooMuch{"too many values", mark};
  }

  void open(const YAML::Mark& mark, YAML::anchor_t anchor, json::Value value) {
    if (static_cast<int>(frames_.size()) >= options_.max_depth) throw TooMuch{"nested too deeply", mark};
    if (!frames_.empty() && frames_.back().value.is_object() && !frames_.back().has_key) {
      throw TooMuch{"mapping keys must be scalars", mark};
    }
    Frame frame;
    frame.value = std::move(value);
    frame.anchor = anchor;
    frame.mark = mark;
    frames_.push_back(std::move(frame));
  }

  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    finish(frame.mark, frame.anchor, std::move(frame.value), false);
  }

  void finish(const YAML::Mark& mark, YAML::anchor_t anchor, json::Value value, bool merge_key,
              const std::string* text = nullptr) {
    charge(mark, 1);
    if (anchor != 0) {
      const std::size_t nodes = count(value);
      charge(mark, nodes);
      anchors_[anchor] = Anchored{value, nodes, depth(value)};
    }
    if (frames_.empty()) {
      root_ = std::move(value);
      return;
    }
    Frame& top = frames_.back();
    if (top.value.is_array()) {
      top.value.push_back(std::move(value));
    } else if (!top.has_key) {
      top.key = key_text(mark, value, text);
      top.has_key = true;
      top.merge_key = merge_key;
    } else {
      top.has_key = false;
      if (top.merge_key) return add_merge(mark, top, std::move(value));
      if (options_.duplicate_keys != nullptr && top.value.find(top.key) != nullptr) {
        options_.duplicate_keys->push_back(path());
      }
      top.value.set(top.key, std::move(value));
    }
  }

  static std::string key_text(const YAML::Mark& mark, const json::Value& value, const std::string* text) {
    if (value.is_string()) return value.as_string();
    if (value.is_array() || value.is_object()) throw TooMuch{"mapping keys must be scalars", mark};
    if (value.is_bool()) return value.as_bool() ? "true" : "false";
    if (value.is_integer()) return json::write(value);
    return text != nullptr && !value.is_null() ? *text : "null";
  }

  static void add_merge(const YAML::Mark& mark, Frame& top, json::Value value) {
    if (value.is_object()) {
      top.merges.push_back(std::move(value));
      return;
    }
    if (!value.is_array()) throw TooMuch{"map merge requires map or sequence of maps as the value", mark};
    for (json::Value& item : value.as_array()) {
      if (!item.is_object()) throw TooMuch{"map merge requires map or sequence of maps as the value", mark};
      top.merges.push_back(std::move(item));
    }
  }

  // Own keys win over merged ones, earlier merges over later ones.
  static void merge(Frame& top, json::Value& source) {
    for (json::Member& member : source.as_object()) {
      if (top.value.find(member.first) == nullptr) top.value.set(member.first, std::move(member.second));
    }
  }

  std::string path() const {
    std::string text;
    for (const Frame& frame : frames_) {
      if (frame.value.is_array()) {
        text += '[' + std::to_string(frame.value.as_array().size()) + ']';
      } else {
        if (!text.empty()) text += '.';
        text += frame.key;
      }
    }
    return text;
  }

  const ParseOptions& options_;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  json::Value root_;
  std::size_t values_ = 0;
};

Error at(const YAML::Mark& mark, const std::string& message) {
  std::string text = "yaml: ";
  if (!mark.is_null())
    text += "line " + std::to_string(mark.line + 1) + ", column " + std::to_string(mark.column + 1) + ": ";
  return make_error(ErrorCode::kInvalidArgument, text + message);
}

// yaml-cpp recurses per flow level before it tells us about it; refuse what would exhaust the stack.
// Only openers that nothing closed count, wherever they stand; text inside scalars may count too, so
// the bound is far above what real documents have.
bool flow_too_deep(std::string_view text) {
  constexpr int kMaxOpen = 1000;
  int open = 0;
  for (const char c : text) {
    if (c == '[' || c == '{') ++open;
    if ((c == ']' || c == '}') && open > 0) --open;
    if (open > kMaxOpen) return true;
  }
  return false;
}

}  // namespace

Result<std::vector<json::Value>> parse_all(std::string_view text, const ParseOptions& options) {
  if (flow_too_deep(text)) return make_error(ErrorCode::kInvalidArgument, "yaml: nested too deeply");
  if (text.find('\0') != std::string_view::npos) {
    return make_error(ErrorCode::kInvalidArgument, "yaml: control characters are not allowed");
  }
  std::vector<json::Value> documents;
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Builder builder(options);
    while (parser.HandleNextDocument(builder)) {
      json::Value document = builder.take();
      if (!document.is_null()) documents.push_back(std::move(document));
    }
  } catch (const TooMuch& error) {
    return at(error.mark, error.message);
  } catch (const YAML::Exception& error) {
    return at(error.mark, error.msg);
  } catch (const std::exception& error) {
    return make_error(ErrorCode::kInvalidArgument, std::string("yaml: ") + error.what());
  }
  return documents;
}

Result<json::Value> parse(std::string_view text, const ParseOptions& options) {
  COX_ASSIGN_OR_RETURN(std::vector<json::Value> documents, parse_all(text, options));
  if (documents.empty()) return json::Value();
  if (documents.size() > 1) {
    return make_error(ErrorCode::kInvalidArgument,
                      "yaml: expected a single document, found " + std::to_string(documents.size()));
  }
  return std::move(documents[0]);
}

}  // namespace coxswain::yaml
