# What jq 1.7 has and jaq lacks or does in another way.
# Names that begin with an underscore are our own.

def env: $ENV;

# Numbers
def tonumber: if type == "number" then .
  elif type == "string" then . as $text | fromjson
    | if type == "number" then . else error("Cannot be parsed as a number: \($text)") end
  else error("\(type) (\(tojson)) cannot be parsed as a number") end;

# Strings
def implode: _implode;
def ascii: [.] | implode;
def ltrimstr($x): if (type == "string") and ($x | type == "string") then _ltrimstr($x) else . end;
def rtrimstr($x): if (type == "string") and ($x | type == "string") then _rtrimstr($x) else . end;
def join($x): reduce .[] as $i (null;
  (if . == null then "" else . + $x end)
  + (if $i == null then "" elif ($i | type) == "boolean" or ($i | type) == "number"
     then ($i | tojson) else $i end)) // "";

# Regular expressions
def _pattern(f):
  if type == "array" then (if length > 1 then [.[0], .[1]] else [.[0], null] end)
  else [., null] end | f;
def match($re; $flags): _match($re; $flags)[];
def match($re): . as $in | $re | _pattern(. as [$re, $flags] | $in | match($re; $flags));
def test($re; $flags): _test($re; $flags);
def test($re): . as $in | $re | _pattern(. as [$re, $flags] | $in | test($re; $flags));
def _named: [.captures[] | select(.name != null) | {(.name): .string}] | add // {};
def capture($re; $flags): match($re; $flags) | _named;
def capture($re): match($re) | _named;
def scan($re; $flags): match($re; "g" + $flags)
  | if .captures == [] then .string else [.captures[].string] end;
def scan($re): . as $in | $re | _pattern(. as [$re, $flags] | $in | scan($re; $flags));
def split($re; $flags): _pieces($re; "g" + $flags)[0];
def splits($re; $flags): split($re; $flags)[];
def splits($re): splits($re; null);
def sub($re; text; $flags): _pieces($re; $flags) as [$gaps, $found]
  | _weave($gaps; [$found[] | [text]])[];
def sub($re; text): sub($re; text; "");
def gsub($re; text; $flags): sub($re; text; $flags + "g");
def gsub($re; text): sub($re; text; "g");

# Paths
def setpath($path; $x): _setpath($path; $x);
def _room(f): reduce path(f) as $p (.; _grow($p));
def _update(path; f): _room(path) | path |= f;
def _update_alt(path; f): . as $in | _room(path) | path //= ($in | f);
def _update_add(path; f): . as $in | _room(path) | path += ($in | f);
def _update_sub(path; f): . as $in | _room(path) | path -= ($in | f);
def _update_mul(path; f): . as $in | _room(path) | path *= ($in | f);
def _update_div(path; f): . as $in | _room(path) | path /= ($in | f | _divisor);
def _update_rem(path; f): . as $in | _room(path) | path %= ($in | f | _trunc);
def delpaths($paths): reduce ($paths | sort | reverse[]) as $p (.; _delpath($p));
def del(f): delpaths([path(f)]);
def leaf_paths: paths(scalars);
def paths(f): . as $in | paths | select(. as $p | $in | getpath($p) | f);
def pick(f): . as $in | reduce path(f) as $p (null; setpath($p; $in | getpath($p)));
def tostream: path(def r: (.[]?|r), .; r) as $p | getpath($p)
  | reduce path(.[]?) as $q ([$p, .]; [$p + $q]);
def fromstream(f): {x: null, e: false} as $init
  | foreach f as $i ($init;
      if .e then $init else . end
      | if $i | length == 2
        then setpath(["e"]; $i[0] | length == 0) | setpath(["x"] + $i[0]; $i[1])
        else setpath(["e"]; $i[0] | length == 1) end;
      if .e then .x else empty end);
def truncate_stream(stream): . as $n | null | stream
  | if (.[0] | length) > $n then setpath([0]; .[0][$n:]) else empty end;

# Arrays and objects
def has($key):
  if (type == "object" and ($key | type) == "string")
    or (type == "array" and ($key | type) == "number") then _has($key | _floor)
  elif . == null then false
  else error("Cannot check whether \(type) has a \($key | type) key") end;
def in(xs): . as $key | xs | has($key);
def flatten($depth): if $depth < 0 then error("flatten depth must not be negative")
  else def f($d): reduce .[] as $x ([];
    if ($x | type) == "array" and $d != 0 then . + ($x | f($d - 1)) else . + [$x] end); f($depth) end;
def flatten: flatten(1e9);
def from_entries: reduce .[] as $x ({};
  . + { ($x | if .key != null or has("key") then .key
              elif .k != null then .k elif .name != null then .name elif .Name != null then .Name
              elif .Key != null then .Key else .K end
         | if type == "string" then . else tojson end):
        ($x | if has("value") then .value elif has("v") then .v
              elif has("Value") then .Value else .V end) });
def with_entries(f): to_entries | map(f) | from_entries;
def walk(f): def w: if type == "object" then map_values(w) elif type == "array" then map(w)
  else . end | f; w;
def toarray: if type == "array" then . else [.] end;

# SQL
def INDEX(stream; f): reduce stream as $row ({}; setpath([$row | f | tostring]; $row));
def INDEX(f): INDEX(.[]; f);
def IN(s): any(s == .; .);
def IN(source; s): any(source == s; .);
def JOIN($index; f): [.[] | [., $index[f]]];
def JOIN($index; stream; f): stream | [., $index[f]];
def JOIN($index; stream; f; join): stream | [., $index[f]] | join;

# Dates; local time is UTC.
def mktime: if type == "array" then _mktime | floor else error("mktime requires array of 6 numbers") end;
def strftime($format):
  _strftime($format | if type == "string" then split("%c") | join("%a %b %e %H:%M:%S %Y") else . end);
def localtime: gmtime;
def strflocaltime($format): strftime($format);
def todateiso8601: strftime("%Y-%m-%dT%H:%M:%SZ");
def fromdateiso8601: strptime("%Y-%m-%dT%H:%M:%SZ") | mktime;
def todate: todateiso8601;
def fromdate: fromdateiso8601;
def date: todate;
def dateadd(u; n): . + n;
def datesub(u; n): . - n;

# Formats
def _row(f; $name):
  if type == "array" then
    map(if type == "string" then f elif . == null then "" elif type == "boolean" or type == "number"
        then tojson else error("\(type) (\(tojson)) is not valid in a \($name) row") end)
  else error("\(type) (\(tojson)) cannot be \($name)-formatted, only an array can be") end;
def _replaced($old; $new): split($old) | join($new);
def @csv: _row("\"" + _replaced("\""; "\"\"") + "\""; "csv") | join(",");
def @tsv: _row(_replaced("\\"; "\\\\") | _replaced("\t"; "\\t") | _replaced("\n"; "\\n")
  | _replaced("\r"; "\\r"); "tsv") | join("\t");
def @json: tojson;
def @base32: tostring | _base32;
def @base32d: tostring | _base32d;
def @base64d: tostring | _base64d;
def format($name):
  if $name == "text" then @text elif $name == "json" then @json elif $name == "csv" then @csv
  elif $name == "tsv" then @tsv elif $name == "html" then @html elif $name == "uri" then @uri
  elif $name == "sh" then @sh elif $name == "base64" then @base64
  elif $name == "base64d" then @base64d elif $name == "base32" then @base32
  elif $name == "base32d" then @base32d
  else error("\($name) is not a valid format") end;

def have_literal_numbers: true;
def have_decnum: true;
