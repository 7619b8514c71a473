// moment as flows use it: in English, in the zone of the machine or in UTC, or at a fixed distance from it.
(function (module) {
    'use strict';
    const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
    const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
    const LENGTHS = { week: 6048e5, day: 864e5, hour: 36e5, minute: 6e4, second: 1e3, millisecond: 1 };
    const SHORT = { y: 'year', Q: 'quarter', M: 'month', w: 'week', W: 'week', d: 'day', D: 'date', h: 'hour', m: 'minute', s: 'second', ms: 'millisecond' };
    const FORMS = { LT: 'h:mm A', LTS: 'h:mm:ss A', L: 'MM/DD/YYYY', l: 'M/D/YYYY', LL: 'MMMM D, YYYY', ll: 'MMM D, YYYY', LLL: 'MMMM D, YYYY h:mm A', LLLL: 'dddd, MMMM D, YYYY h:mm A' };
    const ISO = 'YYYY-MM-DDTHH:mm:ssZ';
    const unit = (name) => SHORT[name] ?? { isoWeek: 'week', dates: 'date' }[name] ?? String(name ?? 'ms').toLowerCase().replace(/s$/, '').replace(/^m$/, 'millisecond');
    const two = (number, length = 2) => `${number < 0 ? '-' : ''}${String(Math.abs(number)).padStart(length, '0')}`;
    const ordinal = (n) => `${n}${n % 100 >= 11 && n % 100 <= 13 ? 'th' : ['th', 'st', 'nd', 'rd'][n % 10] ?? 'th'}`;

    class Moment {
        // `offset`: minutes east of UTC; undefined: the machine's zone.
        constructor(time, offset) {
            this._time = time;
            this._offset = offset;
        }
        // Fields as a clock there shows them.
        get _shown() {
            const away = this._offset ?? -new Date(this._time).getTimezoneOffset();
            return new Date(this._time + away * 6e4);
        }
        _at(shown) {
            if (this._offset !== undefined) return shown.getTime() - this._offset * 6e4;
            const [y, mo, d, h, mi, s, ms] = [shown.getUTCFullYear(), shown.getUTCMonth(), shown.getUTCDate(), shown.getUTCHours(), shown.getUTCMinutes(), shown.getUTCSeconds(), shown.getUTCMilliseconds()];
            const local = new Date(2000, mo, d, h, mi, s, ms);
            local.setFullYear(y, mo, d);
            return local.getTime();
        }
        _change(change) {
            const shown = this._shown;
            change(shown);
            this._time = this._at(shown);
            return this;
        }
        isValid() { return !Number.isNaN(this._time); }
        valueOf() { return this._time; }
        unix() { return Math.floor(this._time / 1000); }
        toDate() { return new Date(this._time); }
        toISOString() { return this.isValid() ? new Date(this._time).toISOString() : null; }
        toJSON() { return this.toISOString(); }
        toString() { return this.format('ddd MMM DD YYYY HH:mm:ss [GMT]ZZ'); }
        toArray() { const s = this._shown; return [s.getUTCFullYear(), s.getUTCMonth(), s.getUTCDate(), s.getUTCHours(), s.getUTCMinutes(), s.getUTCSeconds(), s.getUTCMilliseconds()]; }
        toObject() { const [years, months, date, hours, minutes, seconds, milliseconds] = this.toArray(); return { years, months, date, hours, minutes, seconds, milliseconds }; }
        clone() { return new Moment(this._time, this._offset); }
        utc() { this._offset = 0; return this; }
        local() { this._offset = undefined; return this; }
        isUTC() { return this._offset === 0; }
        utcOffset(to) {
            if (to === undefined) return this._offset ?? -new Date(this._time).getTimezoneOffset();
            const found = /^([+-])(\d\d):?(\d\d)$/.exec(to);
            this._offset = found ? Number(`${found[1]}${Number(found[2]) * 60 + Number(found[3])}`) : Math.abs(to) < 16 ? to * 60 : Number(to);
            return this;
        }
        locale() { return this; }
        get(name) { return this[unit(name)](); }
        set(name, value) {
            if (typeof name === 'object') for (const [key, own] of Object.entries(name)) this.set(key, own);
            else this[unit(name)](value);
            return this;
        }
        year(to) { return to === undefined ? this._shown.getUTCFullYear() : this.add(to - this.year(), 'year'); }
        quarter(to) { return to === undefined ? Math.floor(this.month() / 3) + 1 : this.add((to - this.quarter()) * 3, 'month'); }
        month(to) {
            if (to === undefined) return this._shown.getUTCMonth();
            const at = typeof to === 'string' ? MONTHS.findIndex((name) => name.toLowerCase().startsWith(to.toLowerCase())) : to;
            return this.add(at - this.month(), 'month');
        }
        date(to) { return to === undefined ? this._shown.getUTCDate() : this._change((s) => s.setUTCDate(to)); }
        day(to) { return to === undefined ? this._shown.getUTCDay() : this.date(this.date() + (typeof to === 'string' ? DAYS.findIndex((name) => name.toLowerCase().startsWith(to.toLowerCase())) : to) - this.day()); }
        weekday(to) { return this.day(to); }
        isoWeekday(to) { const own = this.day() || 7; return to === undefined ? own : this.date(this.date() + to - own); }
        hour(to) { return to === undefined ? this._shown.getUTCHours() : this._change((s) => s.setUTCHours(to)); }
        minute(to) { return to === undefined ? this._shown.getUTCMinutes() : this._change((s) => s.setUTCMinutes(to)); }
        second(to) { return to === undefined ? this._shown.getUTCSeconds() : this._change((s) => s.setUTCSeconds(to)); }
        millisecond(to) { return to === undefined ? this._shown.getUTCMilliseconds() : this._change((s) => s.setUTCMilliseconds(to)); }
        dayOfYear() { return Math.round((this.clone().startOf('day') - this.clone().startOf('year')) / 864e5) + 1; }
        isoWeek() {
            const thursday = this.clone().isoWeekday(4);
            return Math.floor((thursday.dayOfYear() - 1) / 7) + 1;
        }
        week() { return Math.floor((this.dayOfYear() + this.clone().startOf('year').day() - 1) / 7) + 1; }
        isoWeekYear() { return this.clone().isoWeekday(4).year(); }
        daysInMonth() { return new Date(Date.UTC(this.year(), this.month() + 1, 0)).getUTCDate(); }
        isLeapYear() { return new Date(Date.UTC(this.year(), 2, 0)).getUTCDate() === 29; }
        add(count, name) {
            if (count instanceof Duration) { this._months(count._months); this._time += count._rest; return this; }
            if (typeof count === 'object' && count) { for (const [key, own] of Object.entries(count)) this.add(own, key); return this; }
            if (typeof count === 'string' && typeof name === 'number') return this.add(name, count);
            const [by, kind] = [Number(count), unit(name)];
            if (kind === 'year') return this._months(by * 12);
            if (kind === 'quarter') return this._months(by * 3);
            if (kind === 'month') return this._months(by);
            if (kind === 'day' || kind === 'date' || kind === 'week') return this._change((s) => s.setUTCDate(s.getUTCDate() + Math.round(by) * (kind === 'week' ? 7 : 1)));
            this._time += by * (LENGTHS[kind] ?? 1);
            return this;
        }
        _months(count) {
            return this._change((s) => {
                const day = s.getUTCDate();
                s.setUTCDate(1);
                s.setUTCMonth(s.getUTCMonth() + Math.round(count));
                s.setUTCDate(Math.min(day, new Date(Date.UTC(s.getUTCFullYear(), s.getUTCMonth() + 1, 0)).getUTCDate()));
            });
        }
        subtract(count, name) {
            if (count instanceof Duration) return this.add(new Duration(-count._months, -count._rest));
            if (typeof count === 'object' && count) { for (const [key, own] of Object.entries(count)) this.add(-own, key); return this; }
            return this.add(-Number(count), name);
        }
        startOf(name) {
            const kind = unit(name);
            return this._change((s) => {
                if (kind === 'year') s.setUTCMonth(0, 1);
                else if (kind === 'quarter') s.setUTCMonth(Math.floor(s.getUTCMonth() / 3) * 3, 1);
                else if (kind === 'month') s.setUTCDate(1);
                else if (kind === 'week') s.setUTCDate(s.getUTCDate() - (name === 'isoWeek' ? (s.getUTCDay() || 7) - 1 : s.getUTCDay()));
                const [h, m, sec] = [s.getUTCHours(), s.getUTCMinutes(), s.getUTCSeconds()];
                const keep = ['hour', 'minute', 'second', 'millisecond'].indexOf(kind);
                s.setUTCHours(keep >= 0 ? h : 0, keep >= 1 ? m : 0, keep >= 2 ? sec : 0, keep >= 3 ? s.getUTCMilliseconds() : 0);
            });
        }
        endOf(name) { const kind = unit(name); return this.startOf(name).add(1, kind === 'date' ? 'day' : kind).subtract(1, 'ms'); }
        diff(other, name = 'ms', isExact = false) {
            const to = moment(other);
            const kind = unit(name);
            let found;
            if (['year', 'quarter', 'month'].includes(kind)) {
                const months = (this.year() - to.year()) * 12 + this.month() - to.month();
                const anchor = to.clone()._months(months);
                const next = to.clone()._months(months + (this < anchor ? -1 : 1));
                found = (months + (this - anchor) / Math.abs(next - anchor || 1)) / { year: 12, quarter: 3, month: 1 }[kind];
            } else {
                const away = kind === 'day' || kind === 'week' || kind === 'date' ? (this.utcOffset() - to.utcOffset()) * 6e4 : 0;
                found = (this - to + away) / (LENGTHS[kind === 'date' ? 'day' : kind] ?? 1);
            }
            return isExact ? found : Math.trunc(found) || 0;
        }
        _compare(other, name) {
            const [one, two_] = [this.clone(), moment(other)];
            if (name === undefined) return one - two_;
            two_._offset = one._offset;
            return one.startOf(name) - two_.startOf(name);
        }
        isSame(other, name) { return this._compare(other, name) === 0; }
        isBefore(other, name) { return this._compare(other, name) < 0; }
        isAfter(other, name) { return this._compare(other, name) > 0; }
        isSameOrBefore(other, name) { return this._compare(other, name) <= 0; }
        isSameOrAfter(other, name) { return this._compare(other, name) >= 0; }
        isBetween(one, other, name, ends = '()') {
            const [low, high] = [this._compare(one, name), this._compare(other, name)];
            return (ends[0] === '[' ? low >= 0 : low > 0) && (ends[1] === ']' ? high <= 0 : high < 0);
        }
        from(other, isBare) { return new Duration(0, this - moment(other)).humanize(!isBare); }
        fromNow(isBare) { return this.from(Date.now(), isBare); }
        to(other, isBare) { return new Duration(0, moment(other) - this).humanize(!isBare); }
        toNow(isBare) { return this.to(Date.now(), isBare); }
        calendar() {
            const days = this.clone().startOf('day').diff(moment().startOf('day'), 'day');
            const form = { '-1': '[Yesterday at] LT', 0: '[Today at] LT', 1: '[Tomorrow at] LT' }[days];
            return this.format(form ?? (days > 1 && days < 7 ? 'dddd [at] LT' : days < 0 && days > -7 ? '[Last] dddd [at] LT' : 'L'));
        }
        format(form = this._offset === 0 ? 'YYYY-MM-DDTHH:mm:ss[Z]' : ISO) {
            if (!this.isValid()) return 'Invalid date';
            const long = form.replace(/\[[^\]]*\]|LTS|LT|LLLL|LLL|LL|ll|L|l/g, (part) => FORMS[part] ?? part);
            return long.replace(TOKENS, (part) => (part[0] === '[' ? part.slice(1, -1) : (this._part(part) ?? part)));
        }
        _part(part) {
            const [y, mo, d, h, mi, s, ms] = this.toArray();
            const away = this.utcOffset();
            const zone = (by) => `${away < 0 ? '-' : '+'}${two(Math.floor(Math.abs(away) / 60))}${by}${two(Math.abs(away) % 60)}`;
            switch (part) {
                case 'YYYY': return two(y, 4); case 'YY': return two(y % 100); case 'Y': return String(y); case 'GGGG': return two(this.isoWeekYear(), 4);
                case 'Q': return String(this.quarter()); case 'MMMM': return MONTHS[mo]; case 'MMM': return MONTHS[mo].slice(0, 3); case 'MM': return two(mo + 1); case 'M': return String(mo + 1); case 'Mo': return ordinal(mo + 1);
                case 'DDDD': return two(this.dayOfYear(), 3); case 'DDD': return String(this.dayOfYear()); case 'DD': return two(d); case 'D': return String(d); case 'Do': return ordinal(d);
                case 'dddd': return DAYS[this.day()]; case 'ddd': return DAYS[this.day()].slice(0, 3); case 'dd': return DAYS[this.day()].slice(0, 2); case 'd': case 'e': return String(this.day()); case 'E': return String(this.isoWeekday());
                case 'WW': return two(this.isoWeek()); case 'W': return String(this.isoWeek()); case 'ww': return two(this.week()); case 'w': return String(this.week());
                case 'HH': return two(h); case 'H': return String(h); case 'hh': return two(h % 12 || 12); case 'h': return String(h % 12 || 12); case 'kk': return two(h || 24); case 'k': return String(h || 24);
                case 'mm': return two(mi); case 'm': return String(mi); case 'ss': return two(s); case 's': return String(s); case 'SSS': return two(ms, 3); case 'SS': return two(Math.floor(ms / 10)); case 'S': return String(Math.floor(ms / 100));
                case 'A': return h < 12 ? 'AM' : 'PM'; case 'a': return h < 12 ? 'am' : 'pm'; case 'Z': return zone(':'); case 'ZZ': return zone(''); case 'z': case 'zz': return away === 0 ? 'UTC' : ''; case 'X': return String(this.unix()); case 'x': return String(this._time);
                default: return undefined;
            }
        }
    }
    const TOKENS = /\[[^\]]*\]|Mo|Do|YYYY|YY|Y|GGGG|Q|MMMM|MMM|MM|M|DDDD|DDD|DD|D|dddd|ddd|dd|d|e|E|WW|W|ww|w|HH|H|hh|h|kk|k|mm|m|ss|s|SSS|SS|S|A|a|ZZ|Z|zz|z|X|x/g;
    for (const name of ['year', 'month', 'date', 'day', 'hour', 'minute', 'second', 'millisecond', 'quarter', 'week', 'isoWeek']) Moment.prototype[`${name}s`] = Moment.prototype[name];

    // Texts with a form.
    const SHAPES = { YYYY: '\\d{4}', MMMM: '[a-z]+', MMM: '[a-z]+', dddd: '[a-z]+', ddd: '[a-z]+', A: '[ap]m', a: '[ap]m', Z: 'Z|[+-]\\d\\d:?\\d\\d', ZZ: 'Z|[+-]\\d\\d:?\\d\\d', SSS: '\\d{1,3}', X: '\\d+', x: '\\d+', Do: '\\d+(?:st|nd|rd|th)' };
    function read(text, form, offset, isStrict) {
        const names = [];
        const long = form.replace(/LTS|LT|LLLL|LLL|LL|ll|L|l/g, (part) => FORMS[part]);
        const pattern = long.replace(/\[([^\]]*)\]|[-/.,:()+*?^$|\\]|([A-Za-z]+)/g, (part, quoted, letters) => {
            if (quoted !== undefined) return quoted.replace(/\W/g, '\\$&');
            if (letters === undefined) return isStrict ? `\\${part}` : '[-/.,:\\s]*';
            return letters.replace(TOKENS, (name) => {
                names.push(name);
                return `(${SHAPES[name] ?? '\\d{1,2}'})`;
            });
        });
        const found = new RegExp(`^\\s*${pattern}${isStrict ? '$' : ''}`, 'i').exec(text);
        if (!found) return new Moment(NaN, offset);
        const today = new Moment(Date.now(), offset).toArray();
        const at = { y: today[0], mo: 0, d: 1, h: 0, mi: 0, s: 0, ms: 0 };
        if (!names.some((name) => /[YMDXx]/.test(name))) [, at.mo, at.d] = today;
        let [zone, isAfternoon] = [offset, undefined];
        names.forEach((name, place) => {
            const [part, number] = [found[place + 1], Number.parseInt(found[place + 1], 10)];
            if (name === 'YYYY' || name === 'Y') at.y = number;
            else if (name === 'YY') at.y = number + (number > 68 ? 1900 : 2000);
            else if (name === 'MMMM' || name === 'MMM') at.mo = MONTHS.findIndex((month) => month.slice(0, 3).toLowerCase() === part.slice(0, 3).toLowerCase());
            else if (name === 'MM' || name === 'M') at.mo = number - 1;
            else if (['DD', 'D', 'Do'].includes(name)) at.d = number;
            else if (/^[Hhk]/.test(name)) at.h = number;
            else if (/^m/.test(name)) at.mi = number;
            else if (/^s/.test(name)) at.s = number;
            else if (name === 'SSS') at.ms = Number(part.padEnd(3, '0'));
            else if (name === 'A' || name === 'a') isAfternoon = /p/i.test(part);
            else if (name === 'Z' || name === 'ZZ') zone = part === 'Z' ? 0 : new Moment(0).utcOffset(part)._offset;
            else if (name === 'X') zone = { time: number * 1000 };
            else if (name === 'x') zone = { time: number };
        });
        if (zone?.time !== undefined) return new Moment(zone.time, offset);
        if (isAfternoon !== undefined) at.h = (at.h % 12) + (isAfternoon ? 12 : 0);
        const shown = new Date(Date.UTC(2000, 0, 1, at.h, at.mi, at.s, at.ms));
        shown.setUTCFullYear(at.y, at.mo, at.d);
        const isThere = at.mo >= 0 && at.mo < 12 && shown.getUTCDate() === at.d && at.h < 25 && at.mi < 60 && at.s < 60;
        return new Moment(isThere ? new Moment(0, zone)._at(shown) : NaN, offset);
    }
    function made(value, form, offset, isStrict) {
        if (value === undefined) return new Moment(Date.now(), offset);
        if (value === null || value === '') return new Moment(NaN, offset);
        if (value instanceof Moment) return new Moment(value._time, offset ?? value._offset);
        if (value instanceof Date) return new Moment(value.getTime(), offset);
        if (typeof value === 'number') return new Moment(value, offset);
        if (Array.isArray(value)) return new Moment(new Moment(0, offset)._at(new Date(Date.UTC(value[0], value[1] ?? 0, value[2] ?? 1, ...value.slice(3)))), offset);
        if (typeof value === 'object') return new Moment(Date.now(), offset).startOf('day').set(value);
        for (const one of [form ?? []].flat()) {
            const found = one === 'ISO_8601' ? made(value, undefined, offset) : read(String(value), one, offset, isStrict === true);
            if (found.isValid() || ![form].flat().at(-1) || one === [form].flat().at(-1)) return found;
        }
        const text = String(value).trim();
        const iso = /^(\d{4})-?(\d\d)(?:-?(\d\d))?(?:[T ](\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?$/.exec(text);
        if (!iso) return new Moment(Date.parse(text), offset);
        const [, y, mo, d = '01', h = '00', mi = '00', s = '00', part = '0', zone] = iso;
        const normal = `${y}-${mo}-${d}T${h}:${mi}:${s}.${part.slice(0, 3).padEnd(3, '0')}Z`;
        const shown = new Date(normal);
        if (!zone) return new Moment(new Moment(0, offset)._at(shown), offset);
        return new Moment(shown.getTime() - (zone === 'Z' ? 0 : new Moment(0).utcOffset(zone.length === 3 ? `${zone}00` : zone)._offset * 6e4), offset);
    }

    class Duration {
        constructor(months, rest) {
            this._months = months;
            this._rest = rest;
        }
        asMilliseconds() { return this._months * 2629746e3 + this._rest; }
        valueOf() { return this.asMilliseconds(); }
        as(name) { const kind = unit(name); return kind === 'year' ? this.asMilliseconds() / 31556952e3 : kind === 'month' ? this.asMilliseconds() / 2629746e3 : this.asMilliseconds() / LENGTHS[kind]; }
        get(name) { return this[`${unit(name)}s`](); }
        add(count, name) { const other = duration(count, name); this._months += other._months; this._rest += other._rest; return this; }
        subtract(count, name) { const other = duration(count, name); this._months -= other._months; this._rest -= other._rest; return this; }
        humanize(isDirected) {
            const [away, s] = [this.asMilliseconds(), Math.abs(this.asMilliseconds()) / 1000];
            const [m, h, d] = [Math.round(s / 60), Math.round(s / 3600), Math.round(s / 86400)];
            const [months, years] = [Math.round(d / 30.436875), Math.round(d / 365.2425)];
            const words = s < 44.5 ? 'a few seconds' : m <= 1 ? 'a minute' : m < 45 ? `${m} minutes` : h <= 1 ? 'an hour' : h < 22 ? `${h} hours` : d <= 1 ? 'a day' : d < 26 ? `${d} days` : months <= 1 ? 'a month' : months < 11 ? `${months} months` : years <= 1 ? 'a year' : `${years} years`;
            return isDirected ? (away > 0 ? `in ${words}` : `${words} ago`) : words;
        }
        toISOString() {
            const part = (count, letter) => (count ? `${count}${letter}` : '');
            const time = part(this.hours(), 'H') + part(this.minutes(), 'M') + part(this.seconds() + this.milliseconds() / 1000, 'S');
            const text = part(this.years(), 'Y') + part(this.months(), 'M') + part(this.days(), 'D') + (time && `T${time}`);
            return `P${text || 'T0S'}`.replace(/^P$/, 'P0D');
        }
        toJSON() { return this.toISOString(); }
        years() { return Math.trunc(this._months / 12); }
        months() { return this._months % 12; }
        weeks() { return Math.trunc(this.days() / 7); }
        days() { return Math.trunc(this._rest / 864e5); }
        hours() { return Math.trunc(this._rest / 36e5) % 24; }
        minutes() { return Math.trunc(this._rest / 6e4) % 60; }
        seconds() { return Math.trunc(this._rest / 1e3) % 60; }
        milliseconds() { return Math.trunc(this._rest % 1e3); }
    }
    for (const name of ['Years', 'Months', 'Weeks', 'Days', 'Hours', 'Minutes', 'Seconds']) Duration.prototype[`as${name}`] = function () { return this.as(name.toLowerCase()); };
    function duration(count, name) {
        if (count instanceof Duration) return new Duration(count._months, count._rest);
        if (typeof count === 'object' && count) return Object.entries(count).reduce((out, [key, own]) => out.add(own, key), new Duration(0, 0));
        const found = /^(-)?(?:(\d+)\.)?(\d+):(\d+)(?::(\d+(?:\.\d+)?))?$/.exec(count);
        if (found) return new Duration(0, (found[1] ? -1 : 1) * ((Number(found[2] ?? 0) * 24 + Number(found[3])) * 36e5 + Number(found[4]) * 6e4 + Number(found[5] ?? 0) * 1e3));
        const iso = /^(-)?P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?$/.exec(count);
        if (iso) return new Duration((iso[2] ?? 0) * 12 + Number(iso[3] ?? 0), (iso[4] ?? 0) * 6048e5 + (iso[5] ?? 0) * 864e5 + (iso[6] ?? 0) * 36e5 + (iso[7] ?? 0) * 6e4 + (iso[8] ?? 0) * 1e3);
        const kind = unit(name);
        const months = { year: 12, quarter: 3, month: 1 }[kind];
        return months ? new Duration(Number(count) * months, 0) : new Duration(0, Number(count) * (LENGTHS[kind] ?? 1));
    }

    const moment = (value, form, third, fourth) => made(value, form, undefined, fourth ?? third);
    moment.utc = (value, form, isStrict) => made(value, form, 0, isStrict).utc();
    moment.parseZone = (value) => { const zone = /(Z|[+-]\d\d:?\d\d)$/.exec(String(value))?.[1]; return made(value, undefined, zone && zone !== 'Z' ? new Moment(0).utcOffset(zone)._offset : 0); };
    moment.unix = (seconds) => new Moment(seconds * 1000);
    const extreme = (is_) => (...all) => all.flat().reduce((best, own) => (is_(own, best) ? own : best));
    Object.assign(moment, {
        duration, now: () => Date.now(), isMoment: (value) => value instanceof Moment, isDate: (value) => value instanceof Date, isDuration: (value) => value instanceof Duration,
        max: extreme((a, b) => a > b), min: extreme((a, b) => a < b), months: () => [...MONTHS], monthsShort: () => MONTHS.map((name) => name.slice(0, 3)), weekdays: () => [...DAYS],
        weekdaysShort: () => DAYS.map((name) => name.slice(0, 3)), locale: () => 'en', ISO_8601: 'ISO_8601', fn: Moment.prototype, version: '2.30.1', default: moment,
    });
    module.exports = moment;
})
