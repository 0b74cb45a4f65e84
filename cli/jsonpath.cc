#include "cli/jsonpath.h"

#include <optional>
#include <vector>

#include "libs/common/base/strings.h"

namespace coxswain::cli {
namespace {

using Nodes = std::vector<const json::Value*>;

Error bad(const std::string& why) { return make_error(ErrorCode::kInvalidArgument, "jsonpath: " + why); }

std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      ++i;
      out += text[i] == 'n' ? '\n' : text[i] == 't' ? '\t' : text[i];
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string text_of(const json::Value& value) {
  return value.is_string() ? value.as_string() : json::write(value);
}

void children(const json::Value& node, Nodes& out) {
  if (node.is_array()) {
    for (const json::Value& item : node.as_array()) out.push_back(&item);
  } else if (node.is_object()) {
    for (const json::Member& member : node.as_object()) out.push_back(&member.second);
  }
}

void descendants(const json::Value& node, Nodes& out) {
  out.push_back(&node);
  Nodes direct;
  children(node, direct);
  for (const json::Value* child : direct) descendants(*child, out);
}

class Path {
 public:
  explicit Path(std::string_view text) : text_(text) {}

  Result<Nodes> eval(Nodes nodes) {
    while (at_ < text_.size()) {
      Result<Nodes> next = step(nodes);
      if (!next.ok()) return next;
      nodes = std::move(next).value();
    }
    return nodes;
  }

 private:
  Result<Nodes> step(const Nodes& nodes) {
    const char c = text_[at_];
    if (c == '$' || c == '@') {
      ++at_;
      return nodes;
    }
    if (c == '.') return dot(nodes);
    if (c == '[') return bracket(nodes);
    return bad("unexpected '" + std::string(1, c) + "' in '" + std::string(text_) + "'");
  }

  Result<Nodes> dot(const Nodes& nodes) {
    ++at_;
    bool recursive = false;
    if (at_ < text_.size() && text_[at_] == '.') {
      recursive = true;
      ++at_;
    }
    std::string name;
    while (at_ < text_.size() && text_[at_] != '.' && text_[at_] != '[') {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;  // \. is part of the name
      name += text_[at_++];
    }
    if (name.empty()) return nodes;  // "." alone is the node itself
    Nodes sources;
    if (recursive) {
      for (const json::Value* node : nodes) descendants(*node, sources);
    } else {
      sources = nodes;
    }
    Nodes out;
    for (const json::Value* node : sources) {
      if (name == "*")
        children(*node, out);
      else if (const json::Value* found = node->find(name))
        out.push_back(found);
    }
    return out;
  }

  Result<Nodes> bracket(const Nodes& nodes) {
    const std::size_t end = closing();
    if (end == std::string_view::npos) return bad("missing ] in '" + std::string(text_) + "'");
    const std::string_view inside = trim(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    if (inside == "*") {
      Nodes out;
      for (const json::Value* node : nodes) children(*node, out);
      return out;
    }
    if (inside.starts_with("?(") && inside.ends_with(")"))
      return filter(nodes, inside.substr(2, inside.size() - 3));
    if (inside.size() >= 2 && (inside[0] == '\'' || inside[0] == '"')) {
      Nodes out;
      const std::string key = unescape(inside.substr(1, inside.size() - 2));
      for (const json::Value* node : nodes) {
        if (const json::Value* found = node->find(key)) out.push_back(found);
      }
      return out;
    }
    return slice(nodes, inside);
  }

  std::size_t closing() const {
    char quote = 0;
    int depth = 0;
    for (std::size_t i = at_; i < text_.size(); ++i) {
      const char c = text_[i];
      if (quote != 0) {
        if (c == '\\')
          ++i;
        else if (c == quote)
          quote = 0;
      } else if (c == '\'' || c == '"') {
        quote = c;
      } else if (c == '[') {
        ++depth;
      } else if (c == ']' && --depth == 0) {
        return i;
      }
    }
    return std::string_view::npos;
  }

  // Index or start:end, negative counts from the end.
  static Result<Nodes> slice(const Nodes& nodes, std::string_view inside) {
    const auto parts = split(inside, ':');
    std::vector<std::optional<std::int64_t>> numbers;
    for (const std::string& part : parts) {
      const auto number = parse_int64(part);
      if (!number && !part.empty()) return bad("'" + std::string(inside) + "' is not an index");
      numbers.push_back(number);
    }
    if (numbers.size() > 2 || (numbers.size() == 1 && !numbers[0]))
      return bad("'" + std::string(inside) + "' is not an index");
    Nodes out;
    for (const json::Value* node : nodes) {
      if (!node->is_array()) continue;
      const auto& items = node->as_array();
      const auto size = static_cast<std::int64_t>(items.size());
      const auto from_end = [size](std::int64_t n) { return n < 0 ? n + size : n; };
      std::int64_t first = from_end(numbers[0].value_or(0));
      std::int64_t last = numbers.size() == 2 ? from_end(numbers[1].value_or(size)) : first + 1;
      if (numbers.size() == 1 && (first < 0 || first >= size)) {
        return bad("array index out of bounds: index " + std::to_string(*numbers[0]) + ", length " +
                   std::to_string(size));
      }
      for (first = std::max<std::int64_t>(first, 0), last = std::min(last, size); first < last; ++first) {
        out.push_back(&items[static_cast<std::size_t>(first)]);
      }
    }
    return out;
  }

  static Result<Nodes> filter(const Nodes& nodes, std::string_view expression) {
    static constexpr std::string_view kOperators[] = {"==", "!=", ">=", "<=", ">", "<"};
    std::string_view op;
    std::size_t where = std::string_view::npos;
    for (const std::string_view candidate : kOperators) {
      where = expression.find(candidate);
      if (where != std::string_view::npos) {
        op = candidate;
        break;
      }
    }
    const std::string_view left = trim(expression.substr(0, where));
    std::string_view right = op.empty() ? std::string_view() : trim(expression.substr(where + op.size()));
    std::string wanted(right);
    if (right.size() >= 2 && (right[0] == '"' || right[0] == '\''))
      wanted = unescape(right.substr(1, right.size() - 2));
    Nodes out;
    for (const json::Value* node : nodes) {
      Nodes items;
      children(*node, items);
      for (const json::Value* item : items) {
        Path path(left);
        Result<Nodes> found = path.eval({item});
        if (!found.ok()) return found;
        if (holds(*found, op, wanted)) out.push_back(item);
      }
    }
    return out;
  }

  static bool holds(const Nodes& found, std::string_view op, const std::string& wanted) {
    if (op.empty()) return !found.empty();
    if (found.empty()) return false;
    const std::string have = text_of(*found[0]);
    const auto a = parse_int64(have);
    const auto b = parse_int64(wanted);
    const int order = a && b ? (*a < *b ? -1 : *a > *b) : have.compare(wanted);
    if (op == "==") return order == 0;
    if (op == "!=") return order != 0;
    if (op == ">=") return order >= 0;
    if (op == "<=") return order <= 0;
    return op == ">" ? order > 0 : order < 0;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

struct Piece {
  bool expression = false;
  std::string text;
};

Result<std::vector<Piece>> tokenize(std::string_view text) {
  std::vector<Piece> pieces;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t open = text.find('{', at);
    if (open != at) {
      const auto plain = text.substr(at, open == std::string_view::npos ? open : open - at);
      pieces.push_back({false, std::string(plain)});
      if (open == std::string_view::npos) break;
    }
    std::size_t close = open + 1;
    char quote = 0;
    for (; close < text.size() && (quote != 0 || text[close] != '}'); ++close) {
      if (quote != 0 && text[close] == '\\')
        ++close;
      else if (quote != 0 && text[close] == quote)
        quote = 0;
      else if (quote == 0 && (text[close] == '"' || text[close] == '\''))
        quote = text[close];
    }
    if (close >= text.size()) return bad("unclosed { in '" + std::string(text) + "'");
    pieces.push_back({true, std::string(trim(text.substr(open + 1, close - open - 1)))});
    at = close + 1;
  }
  return pieces;
}

constexpr int kMaxRangeDepth = 8;

Result<std::size_t> render(const std::vector<Piece>& pieces, std::size_t at, const json::Value& node,
                           int depth, bool emit, std::string& out);

Result<std::size_t> render_range(const std::vector<Piece>& pieces, std::size_t at, const json::Value& node,
                                 int depth, bool emit, std::string& out) {
  if (depth >= kMaxRangeDepth) return bad("{range} is nested too deeply");
  Nodes nodes;
  if (emit) {
    Path path(trim(std::string_view(pieces[at].text).substr(5)));
    COX_ASSIGN_OR_RETURN(nodes, path.eval({&node}));
  }
  // The body is walked once without output to find its end even when there is nothing to show.
  std::string ignored;
  COX_ASSIGN_OR_RETURN(const std::size_t end, render(pieces, at + 1, node, depth + 1, false, ignored));
  if (end >= pieces.size()) return bad("{range} without {end}");
  for (const json::Value* item : nodes) {
    COX_RETURN_IF_ERROR(render(pieces, at + 1, *item, depth + 1, true, out));
  }
  return end + 1;
}

// Renders up to {end} (of a range) or the end; returns where it stopped.
Result<std::size_t> render(const std::vector<Piece>& pieces, std::size_t at, const json::Value& node,
                           int depth, bool emit, std::string& out) {
  while (at < pieces.size()) {
    const Piece& piece = pieces[at];
    if (piece.expression && piece.text == "end") {
      if (depth == 0) return bad("{end} without {range}");
      return at;
    }
    if (piece.expression && piece.text.starts_with("range ")) {
      COX_ASSIGN_OR_RETURN(at, render_range(pieces, at, node, depth, emit, out));
      continue;
    }
    ++at;
    if (!emit) continue;
    if (!piece.expression) {
      out += piece.text;
    } else if (piece.text.size() >= 2 && (piece.text[0] == '"' || piece.text[0] == '\'')) {
      out += unescape(std::string_view(piece.text).substr(1, piece.text.size() - 2));
    } else {
      Path path(piece.text);
      COX_ASSIGN_OR_RETURN(const Nodes nodes, path.eval({&node}));
      for (std::size_t i = 0; i < nodes.size(); ++i) out += (i > 0 ? " " : "") + text_of(*nodes[i]);
    }
  }
  return at;
}

}  // namespace

Result<std::string> eval_jsonpath(std::string_view text, const json::Value& document) {
  std::string whole(text);
  if (whole.find('{') == std::string::npos) whole = "{" + whole + "}";
  COX_ASSIGN_OR_RETURN(const std::vector<Piece> pieces, tokenize(whole));
  std::string out;
  COX_RETURN_IF_ERROR(render(pieces, 0, document, 0, true, out));
  return out;
}

}  // namespace coxswain::cli
