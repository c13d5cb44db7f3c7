for (const [unit, size] of units) if (tick >= 0.9995 * size) return Number((tick / size).toPrecision(3)) + unit
return String(Number(tick.toPrecision(3)))
