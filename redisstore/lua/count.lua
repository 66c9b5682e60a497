-- Counters are exact over the whole range of int64, which Lua's numbers are
-- not: what may exceed 2^53 is added in two parts, as text, and saturates.
local MAXINT, MININT = '9223372036854775807', '-9223372036854775808'

-- clamp puts the digits of an integer into the range of int64.
local function clamp(sign, digits)
  digits = string.gsub(digits, '^0+', '')
  if digits == '' then return '0' end
  local limit = sign == '-' and string.sub(MININT, 2) or MAXINT
  if #digits > 19 or (#digits == 19 and digits > limit) then
    return sign == '-' and MININT or MAXINT
  end
  return sign .. digits
end

-- toint is the integer that a JSON literal denotes, as text: a fraction is
-- cut, a string is read as the number in it, anything else is 0.
local function toint(lit)
  if not lit or lit == '' then return '0' end
  local sign, digits = string.match(lit, '^(%-?)(%d+)$')
  if digits then return clamp(sign, digits) end
  local text = string.match(lit, '^"(.*)"$')
  if text then
    if string.find(text, '\\', 1, true) then
      -- The only escapes that can stand in a number's white space.
      text = string.gsub(text, '\\[tnrf]', ' ')
      text = string.gsub(text, '\\u0009', ' ')
      text = string.gsub(text, '\\u000[aAbBcCdD]', ' ')
      text = string.gsub(text, '\\u0020', ' ')
    end
    text = string.gsub(text, '\194\160', ' ') -- the other white space of JavaScript that is ever seen here
    text = string.gsub(text, '\239\187\191', ' ')
    text = string.match(text, '^%s*(.-)%s*$')
  else
    text = lit
  end
  local s, int, rest = string.match(text, '^(%-?)(%d+)(.*)$')
  if not s or (#int > 1 and string.sub(int, 1, 1) == '0') then return '0' end
  local frac, e = '', 0
  if string.sub(rest, 1, 1) == '.' then
    frac, rest = string.match(rest, '^%.(%d+)(.*)$')
    if not frac then return '0' end
  end
  if rest ~= '' then
    e = tonumber(string.match(rest, '^[eE]([+-]?%d+)$'))
    if not e then return '0' end
    e = math.max(-400, math.min(400, e))
  end
  local all, point = int .. frac, #int + e
  if point <= 0 or not string.find(all, '[1-9]') then return '0' end
  if point < #all then return clamp(s, string.sub(all, 1, point)) end
  return clamp(s, all .. string.rep('0', point - #all))
end

-- add adds n (a number, 0 <= n < 2^50) to an integer in text.
local function add(v, n)
  if #v <= 15 then return string.format('%.0f', tonumber(v) + n) end
  local sign, digits = string.match(v, '^(%-?)(%d+)$')
  local hi, lo = tonumber(string.sub(digits, 1, -10)), tonumber(string.sub(digits, -9))
  if sign == '-' then hi, lo = -hi, -lo end
  lo = lo + n
  local carry = math.floor(lo / 1e9)
  hi, lo = hi + carry, lo - carry * 1e9
  if hi >= 0 then return clamp('', string.format('%.0f%09.0f', hi, lo)) end
  if lo > 0 then hi, lo = hi + 1, 1e9 - lo end
  return clamp('-', string.format('%.0f%09.0f', -hi, lo))
end
