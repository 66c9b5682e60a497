-- TABLE is a field of no provider. Redis keeps a hash of few and short fields as
-- a list, in which each look-up walks over all before it; a name of more than
-- 64 bytes makes it a table at once, and again after a restart. As it is never removed, a state that had
-- it and is gone was lost: see back.lua.
local TABLE = ':no field of a provider, but what makes Redis keep this hash as a table'
