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

-- spaces returns white space as JavaScript trims it, by code and in UTF-8. It
-- is made where a count is a string, which is next to never.
local function spaces()
  local codes, texts = {[9] = true, [10] = true, [11] = true, [12] = true, [13] = true, [32] = true}, {}
  for _, code in ipairs({0xA0, 0x1680, 0x2000, 0x2001, 0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008, 0x2009,
    0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF}) do
    codes[code] = true
    local last = 0x80 + code % 64
    if code < 0x800 then
      texts[#texts + 1] = string.char(0xC0 + math.floor(code / 64), last)
    else
      texts[#texts + 1] = string.char(0xE0 + math.floor(code / 4096), 0x80 + math.floor(code / 64) % 64, last)
    end
  end
  return codes, texts
end

-- toint is the integer that a JSON literal denotes, as text: a fraction is
-- cut, a string is read as the number in it, anything else is 0.
local function toint(lit)
  if not lit or lit == '' then return '0' end
  local sign, digits = string.match(lit, '^(%-?)(%d+)$')
  if digits then return clamp(sign, digits) end
  local text = string.match(lit, '^"(.*)"$')
  if text then
    -- Escapes of the characters that a number and the white space around it
    -- are made of; with any other it is no number.
    local codes, texts = spaces()
    text = string.gsub(text, '\\[tnrf]', ' ')
    text = string.gsub(text, '\\u(%x%x%x%x)', function(hex)
      local code = tonumber(hex, 16)
      if codes[code] then return ' ' end
      return code < 128 and code > 32 and string.char(code) or '?'
    end)
    for _, space in ipairs(texts) do text = string.gsub(text, space, ' ') end
    text = string.match(text, '^%s*(%S+)%s*$') -- no number has white space inside
    if not text then return '0' end
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
