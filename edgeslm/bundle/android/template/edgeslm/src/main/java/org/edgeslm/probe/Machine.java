package org.edgeslm.probe;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/**
 * What this device is, and the state it is in: files of Linux and what the platform tells, believed only where they make
 * sense.
 *
 * <p>Sources: Documentation/admin-guide/cputopology, cpu-freq and thermal of the Linux kernel; part numbers of the Main
 * ID Register from the technical reference manuals of Arm's cores (implementer 0x41).
 */
final class Machine {
    private static final String CPU = "sys/devices/system/cpu/";
    private static final double MIB = 1 << 20;
    private static final double COLDEST = -40;
    private static final double HOTTEST = 150;

    private final LinuxFiles files;
    private final Platform platform;

    Machine(LinuxFiles files, Platform platform) {
        this.files = files;
        this.platform = platform;
    }

    /** What does not change while a probe runs. */
    Map<String, Object> describe() {
        String cpuinfo = files.text("proc/cpuinfo");
        String core = core(cpuinfo);
        String chip = platform.chip() == null ? LinuxFiles.field(cpuinfo, "model name") : platform.chip();
        Map<String, Object> told = new LinkedHashMap<String, Object>();
        told.put("machine", platform.machine());
        told.put("cpu", chip == null ? core : chip);
        told.put("core", core);
        told.put("cores", Runtime.getRuntime().availableProcessors());
        told.put("board", platform.board());
        told.put("virtual", platform.virtual());
        told.put("clock_max_mhz", highest("cpufreq/cpuinfo_max_freq"));
        told.put("memory_mib", mebibytes("MemTotal"));
        told.put("system", platform.system());
        told.put("kernel", platform.kernel());
        told.put("glibc", null);
        return told;
    }

    /** The device's state now: what may explain why one run was slower than another. */
    Map<String, Object> condition() {
        String load = files.text("proc/loadavg");
        Map<String, Object> told = new LinkedHashMap<String, Object>();
        told.put("clock_mhz", highest("cpufreq/scaling_cur_freq"));
        told.put("governor", files.text(CPU + "cpu0/cpufreq/scaling_governor"));
        told.put("temperature_c", temperature());
        told.put("throttle_events", null);
        told.put("load_average", load == null ? null : decimal(load.split(" ")[0]));
        told.put("memory_available_mib", mebibytes("MemAvailable"));
        return told;
    }

    /** Bytes of this process: rss, peak_rss and private (not mapped from a file, not shared). */
    Map<String, Object> memory() {
        Map<String, Object> told = new LinkedHashMap<String, Object>();
        told.put("rss", files.kibibytes("proc/self/status", "VmRSS"));
        told.put("peak_rss", files.kibibytes("proc/self/status", "VmHWM"));
        told.put("private", files.kibibytes("proc/self/status", "RssAnon"));
        return told;
    }

    /**
     * edgeslm's name for the core with the highest clock, which is where Android puts work that a user waits for. A
     * phone has several kinds; where clocks are not told it is the first one that /proc/cpuinfo names.
     */
    private String core(String cpuinfo) {
        String found = null;
        double fastest = -1;
        for (String block : (cpuinfo == null ? "" : cpuinfo).split("\n\\s*\n")) {
            String name = name(LinuxFiles.field(block, "CPU implementer"), LinuxFiles.field(block, "CPU part"));
            String number = LinuxFiles.field(block, "processor");
            Double clock = number == null ? null : files.number(CPU + "cpu" + number + "/cpufreq/cpuinfo_max_freq");
            double reached = clock == null ? 0 : clock;
            if (reached > fastest && LinuxFiles.field(block, "CPU part") != null) {
                fastest = reached;
                found = name;
            }
        }
        return found;
    }

    private static String name(String implementer, String part) {
        if (part == null || !"0x41".equals(implementer)) {
            return null;
        }
        switch (part.toLowerCase(Locale.ROOT)) {
            case "0xd03": return "cortex-a53";
            case "0xd04": return "cortex-a35";
            case "0xd05": return "cortex-a55";
            case "0xd07": return "cortex-a57";
            case "0xd08": return "cortex-a72";
            case "0xd09": return "cortex-a73";
            case "0xd0a": return "cortex-a75";
            case "0xd0b": return "cortex-a76";
            case "0xd0d": return "cortex-a77";
            case "0xd41": return "cortex-a78";
            case "0xd44": return "cortex-x1";
            case "0xd46": return "cortex-a510";
            case "0xd47": return "cortex-a710";
            case "0xd48": return "cortex-x2";
            case "0xd4d": return "cortex-a715";
            case "0xd4e": return "cortex-x3";
            case "0xd80": return "cortex-a520";
            case "0xd81": return "cortex-a720";
            case "0xd82": return "cortex-x4";
            default: return null;
        }
    }

    /** The hottest zone in degrees Celsius; zones that report nonsense are left out. */
    private Double temperature() {
        Double hottest = null;
        for (String zone : files.names("sys/class/thermal")) {
            Double told = zone.startsWith("thermal_zone") ? files.number("sys/class/thermal/" + zone + "/temp") : null;
            double degrees = told == null ? Double.NaN : told / 1000;
            if (degrees > COLDEST && degrees < HOTTEST && (hottest == null || degrees > hottest)) {
                hottest = degrees;
            }
        }
        return hottest;
    }

    /** MHz of the fastest core; the kernel tells kHz. */
    private Double highest(String name) {
        Double highest = null;
        for (String cpu : files.names(CPU)) {
            boolean isCore = cpu.startsWith("cpu") && cpu.length() > 3 && Character.isDigit(cpu.charAt(3));
            Double told = isCore ? files.number(CPU + cpu + "/" + name) : null;
            if (told != null && (highest == null || told / 1000 > highest)) {
                highest = told / 1000;
            }
        }
        return highest;
    }

    private Double mebibytes(String name) {
        Long bytes = files.kibibytes("proc/meminfo", name);
        return bytes == null ? null : bytes / MIB;
    }

    private static Double decimal(String word) {
        try {
            return Double.valueOf(word);
        } catch (NumberFormatException error) {
            return null;
        }
    }
}
