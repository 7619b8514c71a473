// Dates and numbers as people of some countries write them, where the language itself has one form for all: `toLocaleString`
// and its kind, and the part of `Intl` behind them. Names of months and days are English ones.
(function (module, exports, require, host) {
    'use strict';
    const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
    const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
    // Order and signs of a date, whether its parts have two digits, what stands before the time, half days, groups and fractions of numbers.
    const KNOWN = {
        'en-US': { date: 'm/d/y', two: '', join: ', ', half: ['AM', 'PM'], group: ',', point: '.' },
        'en-GB': { date: 'd/m/y', two: 'dm', longYear: true, join: ', ', half: ['am', 'pm'], is24: true, group: ',', point: '.' },
        'en-CA': { date: 'y-m-d', two: 'dm', longYear: true, join: ', ', half: ['a.m.', 'p.m.'], group: ',', point: '.' },
        'en-IN': { date: 'd/m/y', two: '', short: 'd/m', shortTwo: true, join: ', ', half: ['am', 'pm'], group: 'in', point: '.' },
        'sv-SE': { date: 'y-m-d', two: 'dm', short: 'd/m', longYear: true, join: ' ', half: ['fm', 'em'], is24: true, group: '\u00a0', point: ',' },
        'de-DE': { date: 'd.m.y', two: '', join: ', ', is24: true, group: '.', point: ',' },
        'fr-FR': { date: 'd/m/y', two: 'dm', longYear: true, join: ' ', is24: true, group: '\u202f', point: ',' },
        'es-ES': { date: 'd/m/y', two: '', join: ', ', half: ['a. m.', 'p. m.'], is24: true, oneHour: true, group: '.', least: 5, point: ',' },
        'it-IT': { date: 'd/m/y', two: 'dm', join: ', ', is24: true, group: '.', point: ',' },
        'pt-BR': { date: 'd/m/y', two: 'dm', longYear: true, join: ', ', is24: true, group: '.', point: ',' },
    };
    const CURRENCIES = { USD: '$', EUR: '€', GBP: '£', JPY: '¥', INR: '₹', BRL: 'R$', CAD: 'CA$', AUD: 'A$', CNY: 'CN¥', KRW: '₩', MXN: 'MX$', ILS: '₪', VND: '₫' };

    function localeOf(wanted) {
        const name = [wanted].flat()[0] ?? 'en-US';
        const plain = String(name).split('-u-')[0];
        const found = KNOWN[plain] ? plain : Object.keys(KNOWN).find((known) => known.split('-')[0] === plain);
        if (!found) throw new RangeError(`The locale ${name} is not supported; there are ${Object.keys(KNOWN).join(', ')}`);
        return [found, KNOWN[found]];
    }
    const two = (number) => String(number).padStart(2, '0');

    // Fields as a clock in that zone shows them.
    function shown(date, zone) {
        const time = date.getTime();
        const away = zone === undefined ? -date.getTimezoneOffset() * 60 : host.zone(String(zone).toWellFormed(), time);
        if (away === null || away === undefined) throw new RangeError(`Invalid time zone specified: ${zone}`);
        return new Date(time + away * 1000);
    }
    const STYLES = {
        date: { full: { weekday: 'long', year: 'numeric', month: 'long', day: 'numeric' }, long: { year: 'numeric', month: 'long', day: 'numeric' }, medium: { year: 'numeric', month: 'short', day: 'numeric' }, short: { year: '2-digit', month: 'numeric', day: 'numeric' } },
        time: { full: { hour: 'numeric', minute: '2-digit', second: '2-digit', timeZoneName: 'long' }, long: { hour: 'numeric', minute: '2-digit', second: '2-digit', timeZoneName: 'short' }, medium: { hour: 'numeric', minute: '2-digit', second: '2-digit' }, short: { hour: 'numeric', minute: '2-digit' } },
    };
    const DATE = ['weekday', 'year', 'month', 'day'];
    const TIME = ['hour', 'minute', 'second', 'fractionalSecondDigits', 'timeZoneName'];

    function settled(options, standard) {
        const given = { ...options };
        if (standard === 'date' && given.timeStyle) throw new TypeError('Invalid option : timeStyle');
        if (standard === 'time' && given.dateStyle) throw new TypeError('Invalid option : dateStyle');
        if (given.dateStyle) Object.assign(given, STYLES.date[given.dateStyle]);
        if (given.timeStyle) Object.assign(given, STYLES.time[given.timeStyle]);
        const has = (names) => names.some((name) => given[name] !== undefined);
        if (!given.dateStyle && !given.timeStyle) {
            const wanted = { date: [DATE], time: [TIME], any: [DATE, TIME], all: [DATE, TIME] }[standard];
            if (!wanted.some(has)) {
                if (standard !== 'time') Object.assign(given, { year: 'numeric', month: 'numeric', day: 'numeric' });
                if (standard === 'time' || standard === 'all') Object.assign(given, { hour: 'numeric', minute: '2-digit', second: '2-digit' });
            }
        }
        for (const name of ['era', 'dayPeriod', 'calendar', 'numberingSystem']) if (given[name] !== undefined) throw new RangeError(`The option ${name} is not supported`);
        return given;
    }

    function formatDate(date, wanted, options, standard) {
        const [name, locale] = localeOf(wanted);
        const given = settled(options, standard);
        if (Number.isNaN(date.getTime())) return 'Invalid Date';
        const at = shown(date, given.timeZone);
        const parts = [dateOf(at, name, locale, given), timeOf(at, locale, given)].filter(Boolean);
        const isLong = given.month === 'long' && (name === 'en-US' || name === 'en-GB' || name === 'en-CA' || name === 'en-IN');
        return parts.join(isLong ? ' at ' : locale.join);
    }

    function dateOf(at, name, locale, given) {
        const year = given.year && (given.year === '2-digit' && !(given.dateStyle && locale.longYear) ? two(at.getUTCFullYear() % 100) : String(at.getUTCFullYear()));
        const weekday = given.weekday && { long: (day) => day, short: (day) => day.slice(0, 3), narrow: (day) => day[0] }[given.weekday](DAYS[at.getUTCDay()]);
        const isText = given.month === 'long' || given.month === 'short' || given.month === 'narrow';
        if ((isText || weekday) && !name.startsWith('en')) throw new RangeError(`Names of months and days are not there in ${name}`);
        if (isText) {
            const month = MONTHS[at.getUTCMonth()].slice(0, { long: 99, short: 3, narrow: 1 }[given.month]);
            const day = given.day && (given.day === '2-digit' ? two(at.getUTCDate()) : String(at.getUTCDate()));
            if (name === 'en-GB' || name === 'en-IN') return [weekday && (day || month ? `${weekday}${name === 'en-IN' || !day || year || given.weekday === 'short' ? ',' : ''}` : weekday), day, month, year].filter(Boolean).join(' ');
            const main = [month, day].filter(Boolean).join(' ');
            const dated = year ? (day ? `${main}, ${year}` : `${main} ${year}`) : main;
            return weekday ? `${weekday}, ${dated}` : dated;
        }
        const order = locale.short && !year ? locale.short : locale.date;
        const sign = order.replace(/\w/g, '')[0];
        const digits = (number, kind, letter) => (kind === '2-digit' || (given.month && given.day && (order === locale.date ? locale.two.includes(letter) : locale.shortTwo)) ? two(number) : String(number));
        const field = { y: year, m: given.month && digits(at.getUTCMonth() + 1, given.month, 'm'), d: given.day && digits(at.getUTCDate(), given.day, 'd') };
        const numeric = [...order].filter((letter) => /\w/.test(letter)).map((letter) => field[letter]).filter(Boolean).join(sign) + (sign === '.' && !year && given.month && given.day ? '.' : '');
        return weekday && numeric ? `${weekday}, ${numeric}` : weekday || numeric;
    }

    function timeOf(at, locale, given) {
        if (given.hour === undefined && given.minute === undefined && given.second === undefined) return '';
        const is24 = given.hourCycle ? given.hourCycle.startsWith('h2') : given.hour12 === undefined ? locale.is24 : !given.hour12;
        const hours = at.getUTCHours();
        // Where days are not halved, the first hour of a half is 0.
        const half12 = hours % 12 || (locale.is24 ? 0 : 12);
        const hour = is24 ? (given.hour === 'numeric' && locale.oneHour ? String(hours) : two(hours)) : given.hour === '2-digit' ? two(half12) : String(half12);
        const fraction = given.fractionalSecondDigits ? `.${String(at.getUTCMilliseconds()).padStart(3, '0').slice(0, given.fractionalSecondDigits)}` : '';
        const isAlone = given.hour === undefined;
        const minute = given.minute && (isAlone && !given.second ? String(at.getUTCMinutes()) : two(at.getUTCMinutes()));
        const second = given.second && `${isAlone && !given.minute ? at.getUTCSeconds() : two(at.getUTCSeconds())}${fraction}`;
        const clock = [given.hour && hour, minute, second].filter(Boolean).join(':');
        const half = given.hour && !is24 ? ` ${(locale.half ?? ['AM', 'PM'])[hours < 12 ? 0 : 1]}` : '';
        let zone = '';
        if (given.timeZoneName) {
            if (given.timeZone !== 'UTC' && given.timeZone !== 'GMT') throw new RangeError('The option timeZoneName is supported for UTC alone');
            zone = given.timeZoneName === 'long' ? ' Coordinated Universal Time' : ' UTC';
        }
        return clock + half + zone;
    }

    function grouped(digits, locale) {
        if (locale.group === 'in') return digits.replace(/(\d)(?=(\d\d)+\d$)/g, '$1,');
        return digits.length < (locale.least ?? 4) ? digits : digits.replace(/\B(?=(\d{3})+$)/g, locale.group);
    }
    function formatNumber(number, wanted, options = {}) {
        const [name, locale] = localeOf(wanted);
        for (const key of ['notation', 'unit', 'signDisplay', 'currencySign', 'numberingSystem']) {
            if (options[key] !== undefined && options[key] !== 'standard' && options[key] !== 'auto') throw new RangeError(`The option ${key} is not supported`);
        }
        const value = Number(number);
        if (Number.isNaN(value)) return 'NaN';
        const { style = 'decimal', currency } = options;
        const usual = style === 'currency' ? (currency === 'JPY' || currency === 'KRW' || currency === 'VND' ? [0, 0] : [2, 2]) : style === 'percent' ? [0, 0] : [0, 3];
        const least = options.minimumFractionDigits ?? Math.min(usual[0], options.maximumFractionDigits ?? usual[0]);
        const most = options.maximumFractionDigits ?? Math.max(usual[1], least);
        const of = Math.abs(style === 'percent' ? value * 100 : value);
        let text = of === Infinity ? '∞' : options.maximumSignificantDigits ? String(Number(of.toPrecision(options.maximumSignificantDigits))) : rounded(of, most);
        let [whole, fraction = ''] = text.split('.');
        fraction = fraction.padEnd(least, '0');
        while (fraction.length > least && fraction.endsWith('0')) fraction = fraction.slice(0, -1);
        if (options.minimumIntegerDigits) whole = whole.padStart(options.minimumIntegerDigits, '0');
        text = (options.useGrouping === false ? whole : grouped(whole, locale)) + (fraction ? locale.point + fraction : '');
        const minus = value < 0 || Object.is(value, -0) ? '-' : '';
        const isAfter = !name.startsWith('en') && name !== 'pt-BR';
        if (style === 'percent') return `${minus}${text}${isAfter ? '\u00a0' : ''}%`;
        if (style !== 'currency') return minus + text;
        if (!currency) throw new TypeError('Currency code is required with currency style.');
        const code = String(currency).toUpperCase();
        const own = { 'en-CA': { CAD: '$', USD: 'US$' }, 'en-GB': { USD: 'US$' }, 'fr-FR': { USD: '$US', GBP: '£GB' }, 'es-ES': { USD: 'US$' }, 'pt-BR': { USD: 'US$' } }[name]?.[code];
        const sign = options.currencyDisplay === 'code' ? code : own ?? CURRENCIES[code] ?? code;
        if (isAfter) return `${minus}${text}\u00a0${sign}`;
        return `${minus}${sign}${/[A-Z]$/.test(sign) || name === 'pt-BR' ? '\u00a0' : ''}${text}`;
    }
    // Half away from zero, by the digits as they are written.
    function rounded(number, digits) {
        const text = String(number);
        if (number >= 1e21) return BigInt(number).toString();
        if (text.includes('e') || digits > 20) return number.toFixed(Math.min(digits, 100));
        const [whole, fraction = ''] = text.split('.');
        if (fraction.length <= digits) return text;
        const kept = BigInt(whole + fraction.slice(0, digits)) + (fraction[digits] >= '5' ? 1n : 0n);
        const all = kept.toString().padStart(digits + 1, '0');
        return digits ? `${all.slice(0, -digits)}.${all.slice(-digits)}` : all;
    }

    const put = (owner, name, value) => Object.defineProperty(owner, name, { value, writable: true, configurable: true, enumerable: false });
    put(Date.prototype, 'toLocaleDateString', function toLocaleDateString(locale, options) { return formatDate(this, locale, options, 'date'); });
    put(Date.prototype, 'toLocaleTimeString', function toLocaleTimeString(locale, options) { return formatDate(this, locale, options, 'time'); });
    put(Date.prototype, 'toLocaleString', function toLocaleString(locale, options) { return formatDate(this, locale, options, 'all'); });
    put(Number.prototype, 'toLocaleString', function toLocaleString(locale, options) { return formatNumber(this, locale, options); });
    put(BigInt.prototype, 'toLocaleString', function toLocaleString(locale, options) { return formatNumber(this, locale, options); });

    const dated = (value) => (value === undefined ? new Date() : value instanceof Date ? value : new Date(value));
    class DateTimeFormat {
        constructor(locale, options) {
            Object.defineProperty(this, 'own_', { value: { locale: localeOf(locale)[0], options } });
            formatDate(new Date(0), locale, options, 'any');
            this.format = (value) => formatDate(dated(value), this.own_.locale, this.own_.options, 'any');
        }
        resolvedOptions() { return { locale: this.own_.locale, calendar: 'gregory', numberingSystem: 'latn', timeZone: this.own_.options?.timeZone ?? 'UTC' }; }
        formatToParts(value) {
            const { locale, options = {} } = this.own_;
            const given = settled(options, 'any');
            const one = (name) => formatDate(dated(value), locale, { [name]: given[name], timeZone: given.timeZone, hour12: given.hour12, hourCycle: given.hourCycle }, 'any');
            const whole = this.format(value);
            const names = [...DATE, ...TIME].filter((name) => given[name] !== undefined);
            const found = names.map((name) => {
                const text = name === 'hour' ? one(name).split(' ')[0] : name === 'minute' || name === 'second' ? two(one(name)) : one(name);
                const own = ['day', 'month'].includes(name) && !whole.includes(text) ? String(Number(text)) : text;
                return { type: name, value: own };
            });
            const half = /\b(AM|PM|am|pm|a\.m\.|p\.m\.)/.exec(whole);
            if (half) found.push({ type: 'dayPeriod', value: half[1] });
            return found;
        }
    }
    class NumberFormat {
        constructor(locale, options) {
            const name = localeOf(locale)[0];
            formatNumber(0, name, options);
            this.format = (value) => formatNumber(value, name, options);
            this.resolvedOptions = () => ({ locale: name, ...options });
        }
    }
    const callable = (Kind) => Object.assign(function (...rest) { return new Kind(...rest); }, { prototype: Kind.prototype, supportedLocalesOf: (all) => [all].flat().filter((name) => KNOWN[name]) });
    module.exports = { Intl: { DateTimeFormat: callable(DateTimeFormat), NumberFormat: callable(NumberFormat) } };
})
