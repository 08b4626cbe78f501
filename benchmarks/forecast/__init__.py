"""How often do the intervals of forecasts hold on data sets that were left out?"""
