# What jq 1.7 has and jaq lacks or does in another way.
# Names that begin with an underscore are our own.

def env: $ENV;

# Strings
def implode: _implode;
def ascii: [.] | implode;
def ltrimstr($x): if (type == "string") and ($x | type == "string") then _ltrimstr($x) else . end;
def rtrimstr($x): if (type == "string") and ($x | type == "string") then _rtrimstr($x) else . end;
def join($x): reduce .[] as $i (null;
  (if . == null then "" else . + $x end)
  + (if $i == null then "" elif ($i | type) == "string" then $i
     elif ($i | type) == "boolean" or ($i | type) == "number" then ($i | tojson)
     else $i end)) // "";
def trim: if type == "string" then sub("^\\s+"; "") | sub("\\s+$"; "") else error("trim input must be a string") end;
def ltrim: if type == "string" then sub("^\\s+"; "") else error("trim input must be a string") end;
def rtrim: if type == "string" then sub("\\s+$"; "") else error("trim input must be a string") end;

# Paths
def leaf_paths: paths(scalars);
def paths(node_filter): . as $dot | paths | select(. as $p | $dot | getpath($p) | node_filter);
def delpaths($paths): reduce ($paths | sort | reverse[]) as $p (.; _delpath($p));
def del(f): delpaths([path(f)]);
def tostream: path(def r: (.[]?|r), .; r) as $p | getpath($p) | reduce path(.[]?) as $q ([$p, .]; [$p + $q]);
def fromstream(f): {x: null, e: false} as $init
  | foreach f as $i ($init;
      if .e then $init else . end
      | if $i | length == 2
        then setpath(["e"]; $i[0] | length == 0) | setpath(["x"] + $i[0]; $i[1])
        else setpath(["e"]; $i[0] | length == 1) end;
      if .e then .x else empty end);
def truncate_stream(stream): . as $n | null | stream | . as $input
  | if (.[0] | length) > $n then setpath([0]; .[0][$n:]) else empty end;

# Objects
def from_entries: reduce .[] as $x ({};
  . + { ($x | if type == "object"
              then (if has("key") then .key elif has("k") then .k elif has("name") then .name
                    elif has("Name") then .Name elif has("Key") then .Key elif has("K") then .K
                    else null end)
              else .key end
         | if type == "string" then . elif . == null then "null" else tojson end):
        ($x | if type == "object"
              then (if has("value") then .value elif has("v") then .v
                    elif has("Value") then .Value elif has("V") then .V else null end)
              else .value end) });
def with_entries(f): to_entries | map(f) | from_entries;

# SQL
def INDEX(stream; idx_expr): reduce stream as $row ({}; .[$row | idx_expr | tostring] |= $row);
def INDEX(idx_expr): INDEX(.[]; idx_expr);
def IN(s): any(s == .; .);
def IN(src; s): any(src == s; .);
def JOIN($idx; idx_expr): [.[] | [., $idx[idx_expr]]];
def JOIN($idx; stream; idx_expr): stream | [., $idx[idx_expr]];
def JOIN($idx; stream; idx_expr; join_expr): stream | [., $idx[idx_expr]] | join_expr;

# Dates; local time is UTC.
def strptime($format): _strptime($format);
def mktime: _mktime;
def gmtime: _gmtime;
def strftime($format): _strftime($format);
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
def @csv: _row("\"" + gsub("\""; "\"\"") + "\""; "csv") | join(",");
def @tsv: _row(gsub("\\\\"; "\\\\") | gsub("\t"; "\\t") | gsub("\n"; "\\n") | gsub("\r"; "\\r"); "tsv")
  | join("\t");

# Everything else
def @base32: tostring | _base32;
def @base32d: tostring | _base32d;
def toarray: if type == "array" then . else [.] end;
def have_literal_numbers: true;
def have_decnum: true;
def format($name):
  if $name == "text" then @text elif $name == "json" then @json elif $name == "csv" then @csv
  elif $name == "tsv" then @tsv elif $name == "html" then @html elif $name == "uri" then @uri
  elif $name == "sh" then @sh elif $name == "base64" then @base64
  elif $name == "base64d" then @base64d elif $name == "base32" then @base32
  elif $name == "base32d" then @base32d
  else error("\($name) is not a valid format") end;
